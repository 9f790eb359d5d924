// What a machine is made of and what it boots: the options that `run` and `verify` share. What they mean is in
// `GuestOptions+Configuration.swift`.

import ArgumentParser
import DebianGuest
import Trapeze

/// Options that name a guest and its machine.
struct GuestOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("An embedded guest (see `trapeze guests`), or `debian`.", valueName: "guest"))
    var guest: String?

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp(
            "After `--`: a command for Debian to run; its exit status becomes Trapeze's.", valueName: "command"))
    var command: [String] = []

    @Option(
        name: [.long, .customLong("kernel", withSingleDash: true)],
        help: ArgumentHelp(
            "A kernel to boot: a Linux bzImage, a vmlinux (PVH), or a Multiboot kernel.", valueName: "file"))
    var kernel: String?

    @Option(
        name: [.long, .customLong("initrd", withSingleDash: true)],
        help: ArgumentHelp(
            "The initial RAM disk; for a Multiboot kernel its modules, as \"FILE ARGUMENTS,FILE...\".",
            valueName: "file"))
    var initrd: String?

    @Option(
        name: [.long, .customLong("append", withSingleDash: true)], parsing: .unconditional,
        help: ArgumentHelp("The kernel's command line; for Debian, added to it.", valueName: "text"))
    var append: String?

    @Option(
        name: [.long, .customLong("bios", withSingleDash: true)],
        help: ArgumentHelp("A firmware image to start at the reset vector.", valueName: "file"))
    var firmware: String?

    @Option(help: ArgumentHelp("A flat binary to load at 0x7c00 and enter there in real mode.", valueName: "file"))
    var flat: String?

    @Option(
        help: ArgumentHelp(
            "Which of Debian's kernels: cloud, general, or the newer cloud-backports or general-backports.",
            valueName: "choice"))
    var debianKernel: DebianKernel?

    @Option(
        help: ArgumentHelp(
            "A userland for Debian's kernel, a folder or an initramfs archive, in place of busybox alone.",
            valueName: "path"))
    var userland: String?

    @Option(
        name: [.long, .customShort("m")],
        help: ArgumentHelp("Memory, in MiB or with a suffix K, M, G or T.", valueName: "size"),
        transform: MemorySize.init(parsing:))
    var memory = MemorySize(bytes: 512 << 20)

    @Option(
        name: [.customLong("cpus"), .customLong("smp", withSingleDash: true)],
        help: ArgumentHelp(
            "Number of vCPUs, 1 to 64; 1, or what an embedded guest needs, if not given.", valueName: "number"))
    var cpus: Int?

    @Option(
        help: ArgumentHelp(
            """
            The CPU model: \(VirtualMachineConfiguration.cpuModels.joined(separator: ", ")); then, after commas, \
            +FEATURE, -FEATURE or vendor=intel|amd.
            """, valueName: "model"))
    var cpu = "host"

    @Option(
        help: ArgumentHelp(
            "What guests that know of hypervisors are offered: kvm (KVM's clock and hypercalls), or off.",
            valueName: "interface"))
    var paravirt = ParavirtualInterface.kvm

    @Option(
        help: ArgumentHelp(
            "The exit status for a value V that the guest writes to port 0xf4: value (V), or isa-debug ((V<<1)|1, as "
                + "QEMU).", valueName: "mode"))
    var exitPort = ExitPortMode.value
}

extension DebianKernel: ExpressibleByArgument {}
extension ParavirtualInterface: ExpressibleByArgument {}
