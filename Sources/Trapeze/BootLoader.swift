// What a machine starts with. Each boot loader is a value that names its files and says how they are entered; the
// loading itself is the machine's.

import Foundation

/// A way to start a machine.
public protocol BootLoader: Sendable {
    /// Checks that the files are there and readable; what is in them is looked at when the machine is made.
    func validate() throws(ConfigurationError)
    /// What the machine is to load.
    var bootSource: BootSource { get }
}

/// What a machine loads, for each of the ways to start one.
public enum BootSource: Sendable {
    /// A kernel whose form is found by looking at it: a Linux bzImage, an ELF file with a PVH entry point, or a
    /// Multiboot 1 kernel.
    case kernel(BootFile, initialRamdisk: BootFile?, commandLine: [UInt8])
    /// A Multiboot 1 kernel with its modules.
    case multiboot(BootFile, modules: [MultibootModule], commandLine: [UInt8])
    /// A firmware image that ends at 4 GiB.
    case firmware(BootFile)
    /// Bytes at an address, entered in real mode.
    case flatBinary(BootFile, loadAddress: UInt64, entryPoint: UInt64)
}

/// Starts a Linux kernel: a bzImage by the 64-bit boot protocol, or a vmlinux (ELF) through PVH.
public struct LinuxBootLoader: BootLoader {
    /// The kernel.
    public var kernel: BootFile
    /// The initial RAM disk, if there is one.
    public var initialRamdisk: BootFile?
    /// The kernel's command line. Bytes, for Linux has no notion of their encoding.
    public var commandLine: [UInt8]

    /// Starts the kernel in a file.
    public init(kernelURL: URL, initialRamdiskURL: URL? = nil, commandLine: String = "") {
        kernel = .file(kernelURL)
        initialRamdisk = initialRamdiskURL.map { .file($0) }
        self.commandLine = Array(commandLine.utf8)
    }

    /// Starts a kernel that is given as a file or as bytes.
    public init(kernel: BootFile, initialRamdisk: BootFile? = nil, commandLine: [UInt8] = []) {
        self.kernel = kernel
        self.initialRamdisk = initialRamdisk
        self.commandLine = commandLine
    }

    /// Checks that the files can be read and are not empty.
    public func validate() throws(ConfigurationError) {
        _ = try kernel.checkedSize(as: "kernel")
        _ = try initialRamdisk?.checkedSize(as: "initrd")
    }

    /// The files and how they are entered.
    public var bootSource: BootSource {
        .kernel(kernel, initialRamdisk: initialRamdisk, commandLine: commandLine)
    }
}

/// A file that a Multiboot kernel finds in memory.
public struct MultibootModule: Sendable, Equatable {
    /// The file.
    public var file: BootFile
    /// The string that comes with it, by custom the file's name and arguments.
    public var commandLine: [UInt8]

    /// Pairs a file with its string.
    public init(file: BootFile, commandLine: [UInt8]) {
        self.file = file
        self.commandLine = commandLine
    }
}

/// Starts a Multiboot 1 kernel, ELF or of the address-override form (Multiboot Specification 0.6.96).
public struct MultibootBootLoader: BootLoader {
    /// The kernel.
    public var kernel: BootFile
    /// Its modules, in order.
    public var modules: [MultibootModule]
    /// The kernel's command line.
    public var commandLine: [UInt8]

    /// Starts a kernel with its modules.
    public init(kernel: BootFile, modules: [MultibootModule] = [], commandLine: [UInt8] = []) {
        self.kernel = kernel
        self.modules = modules
        self.commandLine = commandLine
    }

    /// Checks that the files can be read and are not empty.
    public func validate() throws(ConfigurationError) {
        _ = try kernel.checkedSize(as: "kernel")
        for module in modules { _ = try module.file.checkedSize(as: "module", allowEmpty: true) }
    }

    /// The files and how they are entered.
    public var bootSource: BootSource { .multiboot(kernel, modules: modules, commandLine: commandLine) }
}

/// Starts firmware, such as a BIOS, at the reset vector.
public struct FirmwareBootLoader: BootLoader {
    /// The image; it ends at 4 GiB, and its last part is seen below 1 MiB too.
    public var firmware: BootFile

    /// Starts an image given as a file or as bytes.
    public init(firmware: BootFile) { self.firmware = firmware }

    /// Starts the image in a file.
    public init(firmwareURL: URL) { firmware = .file(firmwareURL) }

    /// Checks that the files can be read and are not empty.
    public func validate() throws(ConfigurationError) { _ = try firmware.checkedSize(as: "firmware") }

    /// The files and how they are entered.
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

    /// Checks that the files can be read and are not empty.
    public func validate() throws(ConfigurationError) { _ = try binary.checkedSize(as: "flat binary") }

    /// The files and how they are entered.
    public var bootSource: BootSource { .flatBinary(binary, loadAddress: loadAddress, entryPoint: entryPoint) }
}
