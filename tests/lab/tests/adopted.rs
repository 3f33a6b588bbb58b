//! Mounts that swnd adopts, on any kernel: `LAB_KERNEL=6.12+nowitness` is one that asks for no witness.

use std::net::{IpAddr, Ipv4Addr};
use std::thread::sleep;
use std::time::Duration;

use lab::{
    CLUSTER_NAME, Cluster, Guest, Mount, MountOptions, PASSWORD, Registration, SHARE, Swnd, USER,
    wait_until,
};

const PROMPTLY: Duration = Duration::from_secs(10);
/// How long nothing may happen, to say that nothing does.
const AT_REST: Duration = Duration::from_secs(20);
const MOUNTS: usize = 1000;

/// Waits until these addresses are registered, each once, and gives the registrations.
fn wait_registered(what: &str, cluster: &Cluster, addresses: &[IpAddr]) -> Vec<Registration> {
    wait_until(&format!("registered, {what}: {addresses:?}"), PROMPTLY, || {
        let list = cluster.registrations();
        let mut found: Vec<_> = list.iter().map(|it| it.ip_address).collect();
        found.sort_unstable();
        if found == addresses { Ok(list) } else { Err(format!("{list:?}")) }
    })
}

fn mount<'a>(guest: &'a Guest, address: Ipv4Addr, point: &str, more: &str) -> Mount<'a> {
    let (point, more) = (point.into(), more.into());
    Mount::by(guest, address, MountOptions { point, more, ..MountOptions::default() })
}

#[test]
fn the_table_is_right_after_each_change_of_the_mounts() {
    let cluster = Cluster::fresh();
    let (here, there) = (cluster.address_of(0), cluster.address_of(1));
    let guest = Guest::boot();
    let before = mount(&guest, here, "/mnt/before", "rw");
    let swnd = Swnd::start_adopting(&guest, "");
    let list = wait_registered("a mount that was there before swnd", &cluster, &[here.into()]);
    assert_eq!(list[0].share_name.as_deref(), Some(SHARE));
    assert_eq!(list[0].account_name, USER);
    before.unmount();
    wait_registered("after its end", &cluster, &[]);

    let first = mount(&guest, here, "/mnt/first", "rw");
    let id = wait_registered("a mount", &cluster, &[here.into()])[0].id.clone();
    // None of these is another registration, or ends the one that there is.
    guest.ok("mkdir -p /mnt/bound && mount --bind /mnt/first /mnt/bound");
    guest.ok("mount -o remount,ro /mnt/first && mount -o remount,rw /mnt/first");
    let second = mount(&guest, there, "/mnt/second", "nosharesock");
    guest.ok("umount /mnt/bound");
    second.unmount();
    let other = guest.spawn("exec unshare --mount sh -c 'mount --make-rprivate / && mkdir -p /mnt/hidden \
        && mount --bind /mnt/first /mnt/hidden && umount /mnt/first && touch /run/hidden && sleep 60'");
    wait_until("a mount in another namespace", PROMPTLY, || {
        if guest.run("test -e /run/hidden").status == 0 { Ok(()) } else { Err("not yet") }
    });
    sleep(Duration::from_secs(1));
    assert_eq!(wait_registered("the same", &cluster, &[here.into()])[0].id, id);
    first.unmount();
    // Though it is mounted there still.
    wait_registered("after the end of its last mount here", &cluster, &[]);
    drop(other);

    // By another address, and again.
    let again = mount(&guest, there, "/mnt/again", "rw");
    wait_registered("a mount by another address", &cluster, &[there.into()]);
    again.unmount();
    wait_registered("after its end", &cluster, &[]);
    swnd.stop();
}

#[test]
fn a_mount_that_autofs_makes_is_registered_when_it_is_used() {
    let cluster = Cluster::fresh();
    let here = cluster.address_of(0);
    let guest = Guest::boot();
    let swnd = Swnd::start_adopting(&guest, "");
    let automount = concat!(env!("CARGO_MANIFEST_DIR"), "/automount");
    let options = format!("ip={here},vers=3.1.1,username={USER},password={PASSWORD}");
    guest.ok("mkdir -p /mnt/auto");
    let _automount = guest.spawn(&format!("exec {automount} /mnt/auto {options} {CLUSTER_NAME}"));
    wait_until("autofs is there", PROMPTLY, || {
        if guest.run("grep -q autofs /proc/mounts").status == 0 { Ok(()) } else { Err("not yet") }
    });
    sleep(Duration::from_secs(1));
    wait_registered("nothing is used", &cluster, &[]);
    for _ in 0..2 {
        guest.ok(&format!("ls /mnt/auto/{SHARE}"));
        wait_registered("a mount that was used", &cluster, &[here.into()]);
        // As when it has not been used for a while.
        guest.ok(&format!("umount /mnt/auto/{SHARE}"));
        wait_registered("after its end", &cluster, &[]);
    }
    guest.abandon();
    swnd.stop();
}

#[test]
fn a_mount_with_witness_is_the_kernels_and_not_adopted_too() {
    let cluster = Cluster::fresh();
    let here = cluster.address_of(0);
    let guest = Guest::boot();
    let swnd = Swnd::start_adopting(&guest, "");
    if guest.kernel().contains("+nowitness") {
        println!("this kernel mounts nothing with witness");
        return swnd.stop();
    }
    let _mount = mount(&guest, here, "/mnt/first", "witness");
    wait_registered("by the kernel", &cluster, &[here.into()]);
    sleep(Duration::from_secs(1));
    wait_registered("by the kernel", &cluster, &[here.into()]);
    assert_eq!(swnd.log().matches("asking for a witness").count(), 1, "{}", swnd.log());
}

#[test]
fn credentials_that_others_may_read_are_refused_with_one_line() {
    let cluster = Cluster::fresh();
    let here = cluster.address_of(0);
    let guest = Guest::boot();
    let swnd = Swnd::start_adopting_as(&guest, "0644", "");
    let _mount = mount(&guest, here, "/mnt/first", "rw");
    let wanted = "its mode 0644 lets others at it: chmod 600";
    swnd.wait_log("that the file is refused", PROMPTLY, |line| line.contains(wanted));
    guest.ok("mkdir -p /mnt/bound && mount --bind /mnt/first /mnt/bound && umount /mnt/bound");
    sleep(Duration::from_secs(1));
    assert_eq!(swnd.log().matches(wanted).count(), 1, "{}", swnd.log());
    assert!(cluster.registrations().is_empty());
    let dir = guest.shared_dir().display();
    guest.ok(&format!("chmod 600 {dir}/credentials && kill -HUP $(pidof swnd)"));
    wait_registered("by what is read at a reload", &cluster, &[here.into()]);
}

#[test]
fn a_thousand_mounts_cost_nothing_at_rest() {
    let cluster = Cluster::fresh();
    let here = cluster.address_of(0);
    let guest = Guest::boot();
    let swnd = Swnd::start_adopting(&guest, "");
    let _mount = mount(&guest, here, "/mnt/first", "rw");
    // Each round binds twice what the rounds before it have bound.
    guest.ok(
        "mkdir -p /mnt/0/a && mount --bind /mnt/first /mnt/0/a && for i in 0 1 2 3 4 5 6 7 8 9; do \
         n=$((i + 1)); mkdir -p /mnt/$n/a /mnt/$n/b && mount --rbind /mnt/$i /mnt/$n/a \
         && mount --rbind /mnt/$i /mnt/$n/b; done",
    );
    let mounts: usize = guest.ok("grep -c ' - cifs ' /proc/self/mountinfo").trim().parse().unwrap();
    assert!(mounts > MOUNTS, "{mounts}");
    wait_registered("a thousand mounts of a share", &cluster, &[here.into()]);
    sleep(Duration::from_secs(2));
    let before = swnd.wake_ups(&guest);
    sleep(AT_REST);
    let woken = swnd.wake_ups(&guest) - before;
    println!("{mounts} mounts: woken up {woken} times in {AT_REST:?}");
    assert_eq!(woken, 0);
}

#[test]
fn a_mount_goes_on_when_swnd_is_killed() {
    let cluster = Cluster::fresh();
    let here = cluster.address_of(0);
    let guest = Guest::boot();
    let swnd = Swnd::start_adopting(&guest, "");
    let mounted = mount(&guest, here, "/mnt/first", "rw");
    wait_registered("a mount", &cluster, &[here.into()]);
    let writer = mounted.writer("killed");
    swnd.kill();
    writer.wait_for_progress();
    // The one that comes after it finds the mount at once.
    let _swnd = Swnd::start_adopting(&guest, "");
    wait_until("registered again", PROMPTLY, || {
        let list = cluster.registrations();
        if list.is_empty() { Err("not yet") } else { Ok(()) }
    });
    writer.wait_for_progress();
    writer.stop();
}

#[test]
fn where_the_kernel_asks_swnd_and_that_is_down_or_stuck_it_connects_as_without() {
    let cluster = Cluster::fresh();
    let (here, there) = (cluster.address_of(0), cluster.address_of(1));
    let guest = Guest::boot();
    Swnd::install_resolver(&guest);
    let swnd = Swnd::start_adopting(&guest, "");
    let mounted = mount(&guest, here, "/mnt/first", "rw");
    guest.set_cluster_addresses(&[there]);
    wait_registered("a mount", &cluster, &[here.into()]);
    let writer = mounted.writer("asked");
    // Ends the mount's connection, and gives the address of its next one.
    let reconnect = || {
        writer.wait_for_progress();
        for address in guest.session_addresses() {
            assert_eq!(guest.end_connections(address), 1, "the mount's connection");
        }
        writer.wait_for_progress();
        guest.session_addresses()
    };
    assert_eq!(reconnect(), [IpAddr::from(here)], "where swnd sees it served");
    swnd.wait_log("that it was asked", PROMPTLY, |line| line.contains("the kernel asks for"));
    wait_until("the kernel has forgotten the address", PROMPTLY, || {
        let keys = guest.ok("cat /proc/keys");
        let is_kept = |key: &str| key.contains(" dns_resol ") && !key.contains(" expd ");
        if keys.lines().any(is_kept) { Err(keys) } else { Ok(()) }
    });
    guest.ok("kill -STOP $(pidof swnd)");
    assert_eq!(reconnect(), [IpAddr::from(there)], "where the name leads");
    guest.ok("kill -CONT $(pidof swnd)");
    swnd.kill();
    assert_eq!(reconnect(), [IpAddr::from(there)], "where the name leads");
    // A connection that is ended may cost the kernel's flush its answer, with or without swnd.
    writer.end();
}
