// The way in to Boot: what a virtual machine can be started from, and the one call that puts it into guest memory.

import Memory
import VirtualCPU

/// What a virtual machine starts from.
public enum BootSource: Sendable, Hashable {
    /// A kernel, in the format that its bytes show: Linux's bzImage, ELF with a PVH entry, or Multiboot 1. A Linux kernel
    /// takes the first module as its initrd.
    case kernel(BootImage, modules: [BootModule] = [], commandLine: String = "")
    /// Bytes copied to a guest-physical address and entered there, or at `entry`. They are written last, over whatever
    /// of the firmware's tables is in the way.
    case flat(BootImage, loadAddress: UInt64 = 0x7c00, entry: UInt64? = nil, mode: EntryMode = .real16)
    /// A firmware image: mapped so that it ends at 4 GiB, with a copy of its last 128 KiB that ends at 1 MiB. The CPU
    /// starts at its reset vector, as it is after RESET.
    case firmware(BootImage)

    /// The CPU mode in which a flat binary is entered.
    public enum EntryMode: Sendable, Hashable {
        /// Real mode.
        case real16
        /// Flat 32-bit protected mode.
        case protected32
        /// 64-bit mode, the first 4 GiB mapped to themselves.
        case long64
    }

    /// Puts everything into `memory`, which must be fresh (zero), with ACPI and MP tables for `processors` vCPUs (not
    /// for firmware, which makes its own). `randomSeed` is handed to Linux's random number generator where the protocol
    /// can; leave it out for runs that must be identical. Returns the state of the bootstrap processor.
    public func load(
        into memory: GuestMemory, processors: Int = 1, randomSeed: [UInt8]? = nil
    ) throws(BootError) -> CPUState {
        try prepare(in: memory, processors: processors, randomSeed: randomSeed).cpu
    }

    /// What `load(into:processors:randomSeed:)` does, and what else the machine must be found in.
    package func prepare(
        in memory: GuestMemory, processors: Int, randomSeed: [UInt8]?
    ) throws(BootError) -> PreparedBoot {
        switch self {
        case .kernel(let image, let modules, let commandLine):
            var context = try BootContext(memory: memory, processors: processors)
            let open = try OpenImage(image)
            let kernel = Kernel(modules: modules, commandLine: commandLine)
            switch try KernelFormat(of: open) {
            case .bzImage(let header):
                return PreparedBoot(cpu: try context.loadLinux(open, header, kernel, randomSeed: randomSeed))
            case .pvh(let elf, let entry):
                return PreparedBoot(cpu: try context.loadPVH(open, elf, entry: entry, kernel))
            case .multiboot(let header):
                try context.placeInterruptHandlers()
                return PreparedBoot(cpu: try context.loadMultiboot(open, header, kernel), firmwareInterrupts: true)
            }
        case .flat(let image, let loadAddress, let entry, let mode):
            var context = try BootContext(memory: memory, processors: processors)
            return PreparedBoot(cpu: try context.loadFlat(image, at: loadAddress, entry: entry ?? loadAddress, mode))
        case .firmware(let image):
            return PreparedBoot(cpu: try loadFirmware(image, into: memory))
        }
    }
}

/// What a boot leaves to do outside of memory.
package struct PreparedBoot {
    /// The bootstrap processor.
    package var cpu: CPUState
    /// The interrupt controllers and the timer are to be found as a BIOS leaves them.
    package var firmwareInterrupts = false
}

/// An initrd, or a module of a Multiboot kernel.
public struct BootModule: Sendable, Hashable {
    /// The bytes, loaded as they are.
    public var image: BootImage
    /// What a Multiboot kernel is told of the module; the image's name if nil.
    public var text: String?

    /// Names a module.
    public init(_ image: BootImage, text: String? = nil) {
        self.image = image
        self.text = text
    }
}

/// What goes with a kernel in every protocol.
package struct Kernel {
    package let modules: [BootModule]
    package let commandLine: String

    /// Linux's initrd, if there is one.
    package func initrd() throws(BootError) -> BootModule? {
        guard modules.count <= 1 else { throw .oneInitrdOnly(count: modules.count) }
        return modules.first
    }
}
