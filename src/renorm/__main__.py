from renorm.cli.main import main

main()
