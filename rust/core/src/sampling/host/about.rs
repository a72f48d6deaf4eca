//! What a host is: names and versions that do not change while it runs, read once.

use super::super::root::Root;
use super::super::text;
use super::super::unread::Unread;

/// Facts of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its name, whole: `web-10` is not `web-1`.
    pub name: Option<String>,
    /// Operating system, as it calls itself.
    pub os: Option<String>,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// `x86_64`, `aarch64`.
    pub architecture: Option<String>,
    /// New with every boot.
    pub boot_id: Option<String>,
    /// `kvm`, `vmware`, ...; `virtual` for a machine that says no more; `none`.
    pub virtualization: Option<String>,
}

impl About {
    /// Reads them; what is not there is named in `unread`.
    pub fn read(root: &Root, unread: &mut Unread) -> About {
        let line = |path: &str| root.read(path).map(|text| first_line(&text));
        let os = root.read("/etc/os-release").or_else(|reason| root.read("/usr/lib/os-release").map_err(|_| reason));
        let os = os.and_then(|text| pretty_name(&text).ok_or_else(|| "/etc/os-release: no PRETTY_NAME".to_owned()));
        let architecture = line("/proc/sys/kernel/arch").unwrap_or_else(|_| std::env::consts::ARCH.to_owned());
        About {
            name: unread.keep(&["host.name"], line("/proc/sys/kernel/hostname")),
            os: unread.keep(&["host.os"], os),
            kernel: unread.keep(&["host.kernel"], line("/proc/sys/kernel/osrelease")),
            architecture: Some(architecture), // without the kernel's word (before Linux 6.1) that of this program
            boot_id: unread.keep(&["host.boot_id"], line("/proc/sys/kernel/random/boot_id")),
            virtualization: unread.keep(&["host.virtualization"], virtualization(root)),
        }
    }
}

fn first_line(text: &[u8]) -> String {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line.trim_ascii()).into_owned()
}

/// The value of `PRETTY_NAME` in a text of shell assignments. Source: os-release(5).
fn pretty_name(text: &[u8]) -> Option<String> {
    let value =
        text.split(|byte| *byte == b'\n').find_map(|line| line.trim_ascii_start().strip_prefix(b"PRETTY_NAME="))?;
    let value = String::from_utf8_lossy(value.trim_ascii()).into_owned();
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let mut plain = String::new();
    let mut escaped = false;
    for letter in quoted.unwrap_or(&value).chars() {
        escaped = letter == '\\' && !escaped;
        if !escaped {
            plain.push(letter);
        }
    }
    (!plain.is_empty()).then_some(plain)
}

/// Makers of virtual hardware, as DMI names them in vendor or product.
const MAKERS: [(&str, &str); 13] = [
    ("KVM", "kvm"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("Xen", "xen"),
    ("Virtual Machine", "hyper-v"), // the vendor, Microsoft, builds real machines too
    ("Amazon EC2", "amazon"),
    ("Google", "google"),
    ("DigitalOcean", "digitalocean"),
    ("OpenStack", "openstack"),
    ("Parallels", "parallels"),
    ("Bochs", "bochs"),
];

/// A hint, not a proof: a hypervisor may hide, and a bare machine in a cloud has its vendor's name (hence the processor has the last word).
fn virtualization(root: &Root) -> Result<String, String> {
    let processor = root.read("/proc/cpuinfo").ok().and_then(|text| has_hypervisor(&text));
    if processor == Some(false) {
        return Ok("none".into());
    }
    if let Ok(kind) = root.read("/sys/hypervisor/type") {
        return Ok(first_line(&kind));
    }
    let dmi = ["/sys/class/dmi/id/product_name", "/sys/class/dmi/id/sys_vendor"]
        .map(|path| root.read(path).map(|text| first_line(&text)));
    let maker = |text: &String| MAKERS.iter().find(|(mark, _)| text.contains(mark)).map(|(_, word)| (*word).to_owned());
    match dmi.iter().flatten().find_map(maker) {
        Some(maker) => Ok(maker),
        None if processor == Some(true) => Ok("virtual".into()),
        None => Err("neither the processor nor the firmware says".into()),
    }
}

/// Whether the processor says that it is virtual; None where processors have no such flag (all but x86).
fn has_hypervisor(cpuinfo: &[u8]) -> Option<bool> {
    let flags = text::lines(cpuinfo).find(|line| line.starts_with(b"flags"))?;
    Some(text::words(flags).any(|word| word == b"hypervisor"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::Tree;

    fn host(files: &[(&str, &str)]) -> Tree {
        let tree = Tree::new();
        for (path, content) in files {
            tree.file(path, content);
        }
        tree
    }

    #[test]
    fn l20_the_name_of_a_host_is_taken_whole() {
        for name in ["web-1", "web-10", "web-1.example.org"] {
            let tree = host(&[("proc/sys/kernel/hostname", &format!("{name}\n"))]);
            assert_eq!(About::read(tree.root(), &mut Unread::default()).name.as_deref(), Some(name));
        }
    }

    #[test]
    fn l34_os_release_may_be_a_link() {
        let tree = host(&[("usr/lib/os-release", "NAME=\"X\"\nPRETTY_NAME=\"Debian \\\"12\\\"\"\n")]);
        tree.file("etc/hostname", "x\n");
        std::os::unix::fs::symlink("../usr/lib/os-release", tree.root().path("etc/os-release")).unwrap();
        assert_eq!(About::read(tree.root(), &mut Unread::default()).os.as_deref(), Some("Debian \"12\""));
    }

    #[test]
    fn names_of_systems_in_every_quoting() {
        for (text, name) in [
            ("PRETTY_NAME=Alpine", "Alpine"),
            ("PRETTY_NAME='A B'\n", "A B"),
            ("ID=x\nPRETTY_NAME=\"A \\$ B\"\n", "A $ B"),
        ] {
            assert_eq!(pretty_name(text.as_bytes()).as_deref(), Some(name));
        }
        assert_eq!((pretty_name(b"NAME=x\n"), pretty_name(b"PRETTY_NAME=\n")), (None, None));
    }

    #[test]
    fn what_is_not_there_is_none_and_named() {
        let tree = host(&[]);
        let mut unread = Unread::default();
        let about = About::read(tree.root(), &mut unread);
        assert_eq!(
            (about.name, about.os, about.kernel, about.boot_id, about.virtualization),
            (None, None, None, None, None)
        );
        let fields: Vec<_> = unread.entries().iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["host.name", "host.os", "host.kernel", "host.boot_id", "host.virtualization"]);
    }

    #[test]
    fn hints_of_virtual_machines() {
        type Case<'t> = (&'t [(&'t str, &'t str)], Result<&'t str, ()>);
        let cases: [Case<'_>; 8] = [
            (&[("proc/cpuinfo", "flags\t\t: fpu hypervisor lahf\n")], Ok("virtual")),
            (&[("proc/cpuinfo", "flags\t\t: fpu lahf\n"), ("sys/class/dmi/id/sys_vendor", "Amazon EC2\n")], Ok("none")),
            (
                &[("proc/cpuinfo", "flags\t\t: hypervisor\n"), ("sys/class/dmi/id/sys_vendor", "VMware, Inc.\n")],
                Ok("vmware"),
            ),
            (
                &[
                    ("sys/class/dmi/id/product_name", "Virtual Machine\n"),
                    ("sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n"),
                ],
                Ok("hyper-v"),
            ),
            (
                &[
                    ("sys/class/dmi/id/product_name", "Surface\n"),
                    ("sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n"),
                ],
                Err(()),
            ),
            (&[("proc/cpuinfo", "Features\t: fp asimd\n")], Err(())),
            (&[("sys/hypervisor/type", "xen\n")], Ok("xen")),
            (&[("proc/cpuinfo", "flags\t\t: not_hypervisor_x\n")], Ok("none")),
        ];
        for (files, expected) in cases {
            let tree = host(files);
            assert_eq!(virtualization(tree.root()).as_deref().map_err(|_| ()), expected, "{files:?}");
        }
    }
}
