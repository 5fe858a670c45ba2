from renorm.cli import main

main()
