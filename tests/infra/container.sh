# A real systemd on a copy of this machine's root that is thrown away. Reads nothing from standard input and ends with
# it: when the test process is gone, however it went, so is all of this.
#
# It is started in a mount, a process and maybe a network namespace of its own, as process 1 of them: what it mounts,
# nobody else sees, and when it ends, the kernel ends all that it started.
#
# $1: a name for its control groups. $2: "own" if it has a network of its own; then its addresses on loopback.
set -eu
name=$1
network=$2
shift 2

# So that nothing is left in the machine's own /run.
mount -t tmpfs -o mode=0755 tmpfs /run
# A copy on write of the root, whose writes are in memory.
mount -t tmpfs -o size=4g,mode=0755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root

# What this machine starts at boot is not started here, and the machine of the tests has never seen api-health.
rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires etc/rc?.d var/log/journal
rm -rf etc/systemd/system/api-health* usr/lib/systemd/system/api-health* usr/lib/sysusers.d/api-health.conf
rm -rf etc/api-health var/lib/api-health usr/bin/api-health
mkdir -p var/log/journal

# Two systemds in one control group would end each other's processes.
for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    if [ -e "$hierarchy/cgroup.procs" ]; then
        mkdir -p "$hierarchy/$name"
        echo $$ >"$hierarchy/$name/cgroup.procs"
    fi
done

if [ "$network" = own ]; then
    ip link set lo up
    for address; do
        ip address add "$address" dev lo
    done
fi

# Its own resolver and time zone are what the copied root says.
systemd-nspawn --quiet --directory=/mnt/root --register=no --keep-unit --machine=api-health-test \
    --resolv-conf=off --timezone=off --boot </dev/null &
echo started
cat >/dev/null
