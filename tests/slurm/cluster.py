"""A real Slurm cluster of our own on this machine: loopback only, nothing in /etc, no root service.

    with Cluster(folder) as cluster:
        subprocess.run(["sinfo"], env=cluster.env)

node1 and node2 have two GPUs each and are the partition `gpu`, node3 has none and is the partition `cpu`; the GPUs of
node4 (partition `kinds`) have types. More partitions on the same nodes have limits or are down. The GPUs are character
devices that every machine has; Slurm hands them out and sets CUDA_VISIBLE_DEVICES as it does for real ones.

With `accounting`, slurmdbd and MariaDB run too and the limits of accounts are enforced; the user is in account `proj`.
"""

import getpass
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

GPUS = 2
NODES = ("node1", "node2", "node3", "node4")
PROGRAMS = ("slurmdbd", "mariadbd", "mariadb", "mariadb-install-db")  # of accounting

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmctldParameters=enable_configless
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
# A requeued job may start again only after the credential of its first start has expired (default: 120 s).
AuthInfo=cred_expire=5
MpiDefault=none
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# The nodes may claim more cores and memory than the machine has: the cells are tiny.
SlurmdParameters=config_overrides
GresTypes=gpu
DefMemPerCPU=100
ReturnToService=2
SchedulerParameters=bf_interval=2,sched_interval=2
MinJobAge=3600
SlurmctldTimeout=10
SlurmdTimeout=5
KillWait=10
TCPTimeout=2
MessageTimeout=5
{accounting}
NodeName=node[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs=8 RealMemory=64000 Gres=gpu:2
NodeName=node3 NodeHostname={host} NodeAddr=127.0.0.1 Port={third} CPUs=8 RealMemory=64000
NodeName=node4 NodeHostname={host} NodeAddr=127.0.0.1 Port={fourth} CPUs=8 RealMemory=64000 \
    Gres=gpu:a100:1,gpu:1g.10gb:1 Feature=a100,amd
PartitionName=gpu Nodes=node[1-2] Default=YES MaxTime=2-0 State=UP
PartitionName=cpu Nodes=node3 MaxTime=1-0 State=UP
PartitionName=kinds Nodes=node4 MaxTime=2-0 Hidden=YES State=UP
PartitionName=short Nodes=node[1-2] MaxTime=0:20:00 MaxMemPerNode=3000 State=UP
PartitionName=down Nodes=node[1-2] MaxTime=2-0 State=DOWN
PartitionName=closed Nodes=node[1-2] MaxTime=2-0 AllowAccounts=vip State=UP
"""
NO_ACCOUNTING = """\
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none"""
ACCOUNTING = """\
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu"""
DBD_CONF = """\
AuthType=auth/none
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=x
StorageLoc=slurm_acct_db
LogFile={folder}/log/dbd.log
PidFile={folder}/run/dbd.pid
"""
GRANT = """\
create database slurm_acct_db; create user slurm@localhost identified by 'x';
create user slurm@'127.0.0.1' identified by 'x'; grant all on slurm_acct_db.* to slurm@localhost;
grant all on slurm_acct_db.* to slurm@'127.0.0.1'"""


def free_ports(count: int) -> int:
    """The first of `count` consecutive free ports.

    Another worker of pytest, which has another number, starts to look elsewhere: the daemons take their ports later.
    From 32,768 on the system gives ports to connections.
    """
    for turn in range(750):
        base = 20_000 + 16 * ((os.getpid() + turn) % 750)
        sockets = [socket.socket() for _ in range(count)]
        try:
            for port, free in enumerate(sockets, base):
                free.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
        finally:
            for free in sockets:
                free.close()
    raise RuntimeError("no free ports")


class Cluster:
    """Daemons as child processes; `env` is what a user of the cluster has in the environment."""

    def __init__(self, folder: Path, accounting: bool = False):
        self.folder, self.accounting = folder.resolve(), accounting
        self.daemons: dict[str, subprocess.Popen] = {}
        for name in ("etc", "run", "state", "spool", "log", "dev", "db"):
            (self.folder / name).mkdir(parents=True)
        port, host, user = free_ports(len(NODES) + 3), socket.gethostname().split(".")[0], getpass.getuser()
        self.ports = {"dbd": port + 5, "database": port + 6}
        conf = self.folder / "etc/slurm.conf"
        kept = ACCOUNTING.format(port=self.ports["dbd"]) if accounting else NO_ACCOUNTING
        ports = {"port": port, "first": port + 1, "second": port + 2, "third": port + 3, "fourth": port + 4}
        conf.write_text(CONF.format(folder=self.folder, host=host, user=user, accounting=kept, **ports))
        for gpu in range(GPUS):
            (self.folder / f"dev/nvidia{gpu}").symlink_to(f"/dev/tty{gpu}")
        gres = f"NodeName=node[1-2] Name=gpu File={self.folder}/dev/nvidia[0-{GPUS - 1}]\n"
        for number, name in enumerate(("a100", "1g.10gb")):
            gres += f"NodeName=node4 Name=gpu Type={name} File={self.folder}/dev/nvidia{number}\n"
        (self.folder / "etc/gres.conf").write_text(gres)
        (self.folder / "etc/cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
        dbd = self.folder / "etc/slurmdbd.conf"
        dbd.write_text(DBD_CONF.format(folder=self.folder, host=host, user=user, port=self.ports["dbd"],
                                       database=self.ports["database"]))  # fmt: skip
        dbd.chmod(0o600)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "SBATCH_", "SRUN_"))}
        # As a module of a site sets it; nothing is in /etc.
        self.env = clean | {"SLURM_CONF": str(conf)}

    def _start(self, name: str, *command: str) -> None:
        with open(self.folder / f"log/{name}.log", "ab") as log:
            # When the tests are killed, so is the cluster.
            self.daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                env=self.env,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def start_database(self) -> None:
        """MariaDB, slurmdbd, and the user in account `proj`."""
        folder, socket_ = self.folder, f"--socket={self.folder}/run/m.sock"
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/db", "--skip-test-db",
                   "--auth-root-authentication-method=normal", f"--user={getpass.getuser()}"]  # fmt: skip
        subprocess.run(install, check=True, capture_output=True)
        self._start("mariadbd", "mariadbd", "--no-defaults", f"--datadir={folder}/db", socket_,
                    f"--port={self.ports['database']}", "--bind-address=127.0.0.1", f"--user={getpass.getuser()}",
                    f"--pid-file={folder}/run/m.pid", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M",
                    "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0")  # fmt: skip
        self._until(["mariadb", "--no-defaults", socket_, "-uroot", "-e", GRANT])
        self._start("slurmdbd", "slurmdbd", "-D")
        self._until(["sacctmgr", "-n", "show", "cluster"])
        for what in (["cluster", "test"], ["account", "proj"], ["account", "vip"],
                     ["user", getpass.getuser(), "account=proj"]):  # fmt: skip
            self.run("sacctmgr", "-i", "add", *what)

    def _until(self, command: list[str], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while (done := subprocess.run(command, env=self.env, capture_output=True, text=True)).returncode:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{command}: {done.stderr}")
            time.sleep(0.2)

    def start_controller(self) -> None:
        self._start("slurmctld", "slurmctld", "-D")

    def stop_controller(self) -> None:
        """Away, as for an upgrade: what it knows is on its disk, and nobody answers."""
        daemon = self.daemons.pop("slurmctld")
        daemon.terminate()
        daemon.wait(20)

    def start_node(self, node: str) -> None:
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        self._start(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """A crash: slurmd, its step daemons and all processes of its jobs are gone at once."""
        self._kill(node)
        for pid in job_processes(self.env["SLURM_CONF"], node):
            for victim in (_parent_step_daemon(pid), pid):
                kill(victim, signal.SIGKILL)

    def _kill(self, name: str) -> None:
        daemon = self.daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def run(self, *command: str, check: bool = True) -> str:
        """Standard output of a Slurm command."""
        done = subprocess.run(command, env=self.env, text=True, capture_output=True, timeout=60)
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stderr}")
        return done.stdout

    def jobs(self, *options: str) -> list[dict[str, str]]:
        """Every job that the controller knows, also finished ones."""
        keys = {"id": "%i", "state": "%T", "node": "%N", "comment": "%k", "folder": "%Z", "name": "%j",
                "memory": "%m"}  # fmt: skip
        lines = self.run("squeue", "-h", "--states=all", "-o", "|".join(keys.values()), *options, check=False)
        found = [dict(zip(keys, line.split("|"), strict=True)) for line in lines.splitlines()]
        for job in found:
            job["comment"] = job["comment"].partition(" ")[0]  # the rule and its wildcards
        return sorted(found, key=lambda job: int(job["id"]))

    def wait_idle(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while set(self.run("sinfo", "-a", "-h", "-N", "-t", "idle", "-o", "%N", check=False).split()) != set(NODES):
            for name, daemon in self.daemons.items():
                if daemon.poll() is not None:
                    log = (self.folder / f"log/{name}.log").read_text()
                    raise RuntimeError(f"{name} ended with {daemon.returncode}: {log[-2000:]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"not idle after {seconds} s: {self.run('sinfo', '-N', check=False)}")
            time.sleep(0.1)

    def settle(self) -> None:
        """No job, all nodes up: the state in which a test finds the cluster."""
        if "slurmctld" not in self.daemons:
            self.start_controller()
        for node in NODES:
            if node not in self.daemons:
                self.start_node(node)
        self.run("scancel", "-f", "-u", getpass.getuser(), check=False)
        self.wait_idle(60)

    def __enter__(self) -> "Cluster":
        if self.accounting:
            self.start_database()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait_idle()
        return self

    def __exit__(self, *_) -> None:
        self.run("scancel", "-f", "-u", getpass.getuser(), check=False)
        time.sleep(0.5)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                # A slurmd that never reached a controller ignores SIGTERM.
                daemon.kill()
                daemon.wait()
        for pid in job_processes(self.env["SLURM_CONF"]):
            kill(pid, signal.SIGKILL)


def kill(pid: int | None, number: int) -> None:
    try:
        if pid:
            os.kill(pid, number)
    except ProcessLookupError:
        pass


def environ(pid: int) -> dict[str, str]:
    """The environment that process `pid` was started with; empty when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in raw.split("\0") if "=" in line)


def arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def job_processes(conf: str, node: str | None = None) -> list[int]:
    """Processes of the cluster's jobs, on `node` or on any."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        env = environ(int(entry.name))
        where = env.get("SLURMD_NODENAME")
        if where and env.get("SLURM_CONF") == conf and node in (None, where):
            found.append(int(entry.name))
    return found


def trainers(folder: Path) -> dict[int, str]:
    """pid → seed of the `renorm train` processes that work in `folder`."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        words = arguments(int(entry.name))
        # The interpreter itself, not the shell whose command line holds the same words.
        if len(words) > 3 and words[1].endswith("/renorm") and words[2] == "train" and _folder(entry) == folder:
            found[int(entry.name)] = words[words.index("--seed") + 1]
    return found


def _folder(entry: Path) -> Path | None:
    try:
        return Path(os.readlink(entry / "cwd"))
    except OSError:
        return None


def _parent_step_daemon(pid: int) -> int | None:
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        return parent if b"slurmstepd" in Path(f"/proc/{parent}/cmdline").read_bytes() else None
    except (OSError, ValueError):
        return None
