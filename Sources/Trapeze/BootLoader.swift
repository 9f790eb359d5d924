// What a machine starts with. Each boot loader is a value that names its files and says how they are entered; the
// loading itself is the machine's.

import Foundation
import Machine

/// A way to start a machine.
public protocol BootLoader: Sendable {
    /// Checks what can be checked before there is a machine: that the files can be read and are of the right kind.
    func validate() throws(ConfigurationError)
    /// What the machine is to load.
    var bootSource: BootSource { get }
}

/// Starts a Linux kernel: a bzImage by the 64-bit boot protocol, or a vmlinux (ELF) through PVH.
public struct LinuxBootLoader: BootLoader {
    /// The kernel.
    public var kernel: BootFile
    /// The initial RAM disk, if there is one.
    public var initialRamdisk: BootFile?
    /// The kernel's command line.
    public var commandLine: String

    /// Starts the kernel in a file.
    public init(kernelURL: URL, initialRamdiskURL: URL? = nil, commandLine: String = "") {
        self.init(
            kernel: BootFile(url: kernelURL), initialRamdisk: initialRamdiskURL.map { BootFile(url: $0) },
            commandLine: commandLine)
    }

    /// Starts a kernel that is given as a file or as bytes.
    public init(kernel: BootFile, initialRamdisk: BootFile? = nil, commandLine: String = "") {
        self.kernel = kernel
        self.initialRamdisk = initialRamdisk
        self.commandLine = commandLine
    }

    /// Checks that the kernel is Linux's and that the initial RAM disk can be read.
    public func validate() throws(ConfigurationError) {
        guard try KernelKind(of: kernel) == .linux else {
            throw ConfigurationError(.badFile, "\(kernel.name): a Multiboot kernel, not Linux's")
        }
        try initialRamdisk?.validate()
    }

    /// The files and how they are entered.
    public var bootSource: BootSource {
        .kernel(kernel, modules: initialRamdisk.map { [BootModule($0)] } ?? [], commandLine: commandLine)
    }
}

/// A file that a Multiboot kernel finds in memory.
public struct MultibootModule: Sendable, Equatable {
    /// The file.
    public var file: BootFile
    /// The string that comes with it, by custom the file's name and arguments.
    public var text: String

    /// Pairs a file with its string.
    public init(file: BootFile, text: String) {
        self.file = file
        self.text = text
    }
}

/// Starts a Multiboot 1 kernel, ELF or of the address-override form (Multiboot Specification 0.6.96).
public struct MultibootBootLoader: BootLoader {
    /// The kernel.
    public var kernel: BootFile
    /// Its modules, in order.
    public var modules: [MultibootModule]
    /// The kernel's command line.
    public var commandLine: String

    /// Starts a kernel with its modules.
    public init(kernel: BootFile, modules: [MultibootModule] = [], commandLine: String = "") {
        self.kernel = kernel
        self.modules = modules
        self.commandLine = commandLine
    }

    /// Checks that the kernel is a Multiboot one and that the modules can be read.
    public func validate() throws(ConfigurationError) {
        guard try KernelKind(of: kernel) == .multiboot else {
            throw ConfigurationError(.badFile, "\(kernel.name): a Linux kernel, not a Multiboot one")
        }
        for module in modules { try module.file.validate() }
    }

    /// The files and how they are entered.
    public var bootSource: BootSource {
        .kernel(kernel, modules: modules.map { BootModule($0.file, text: $0.text) }, commandLine: commandLine)
    }
}

/// Starts firmware, such as a BIOS, at the reset vector.
public struct FirmwareBootLoader: BootLoader {
    /// The image; it ends at 4 GiB, and its last part is seen below 1 MiB too.
    public var firmware: BootFile

    /// Starts an image given as a file or as bytes.
    public init(firmware: BootFile) { self.firmware = firmware }

    /// Starts the image in a file.
    public init(firmwareURL: URL) { firmware = BootFile(url: firmwareURL) }

    /// Checks that the image can be read.
    public func validate() throws(ConfigurationError) { try firmware.validate() }

    /// The file and how it is entered.
    public var bootSource: BootSource { .firmware(firmware) }
}

/// Copies bytes into memory and enters them in real mode with CS.base 0.
public struct FlatBinaryBootLoader: BootLoader {
    /// The bytes.
    public var binary: BootFile
    /// The guest-physical address of the first byte.
    public var loadAddress: UInt64
    /// The guest-physical address of the first instruction, below 64 KiB.
    public var entryPoint: UInt64

    /// Loads at an address and enters there, if nothing else is said.
    public init(binary: BootFile, loadAddress: UInt64 = 0x7c00, entryPoint: UInt64? = nil) {
        self.binary = binary
        self.loadAddress = loadAddress
        self.entryPoint = entryPoint ?? loadAddress
    }

    /// Checks that the file can be read.
    public func validate() throws(ConfigurationError) { try binary.validate() }

    /// The file and how it is entered.
    public var bootSource: BootSource { .flat(binary, loadAddress: loadAddress, entry: entryPoint) }
}
