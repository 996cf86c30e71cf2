//! Turns a refused system call into a sentence that says what to do about it.

use nix::errno::Errno;

/// Settings that forbid unprivileged namespaces: file, the value that forbids, the command that
/// permits.
const SYSCTLS: &[(&str, &str, &str)] = &[
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
    ("/proc/sys/user/max_net_namespaces", "0", "sysctl -w user.max_net_namespaces=10000"),
];

/// What was refused, and how the kernel put it.
pub(super) fn describe_refusal(what: &str, errno: Errno) -> String {
    format!("{what} was refused ({})", errno.desc())
}

/// What permits namespaces on this machine.
pub(crate) fn suggest_fix() -> String {
    suggest_fix_from(|path| std::fs::read_to_string(path).unwrap_or_default())
}

fn suggest_fix_from(read: impl Fn(&str) -> String) -> String {
    let closed = SYSCTLS.iter().filter(|(path, closed, _)| read(path).trim() == *closed);
    let commands: Vec<&str> = closed.map(|(_, _, command)| *command).collect();
    if !commands.is_empty() {
        return format!("as root run `{}`", commands.join(" && "));
    }
    if read("/proc/self/status").lines().any(|line| line == "Seccomp:\t2") {
        return "a seccomp filter is in force, as in a container: start that with --security-opt \
                seccomp=unconfined and --cap-add SYS_ADMIN"
            .to_owned();
    }
    "run as root, or on a kernel with user, mount, pid and network namespaces".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_that_is_off_is_named() {
        let ubuntu = |path: &str| if path.contains("apparmor") { "1\n" } else { "" }.to_owned();
        assert!(suggest_fix_from(ubuntu).contains("apparmor_restrict_unprivileged_userns=0"));
        let none_left = |path: &str| if path.contains("max_user") { "0\n" } else { "" }.to_owned();
        assert!(suggest_fix_from(none_left).contains("user.max_user_namespaces=10000"));
    }

    #[test]
    fn a_container_is_recognised_and_there_is_always_a_way_out() {
        let docker =
            |path: &str| if path.ends_with("status") { "Seccomp:\t2\n" } else { "" }.to_owned();
        assert!(suggest_fix_from(docker).contains("seccomp=unconfined"));
        assert!(suggest_fix_from(|_| String::new()).contains("run as root"));
        let text = describe_refusal("a namespace", Errno::EPERM);
        assert_eq!(text, "a namespace was refused (Operation not permitted)");
    }
}
