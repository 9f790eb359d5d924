// From options to a machine: which guest is meant, what it boots from, and the configuration that follows. Options that
// contradict each other are refused here.

import DebianGuest
import Foundation
import Guests
import Trapeze

/// A guest, ready to be put into a machine.
struct GuestToRun {
    /// What reports call it: an embedded guest's name, `debian`, or nil for files of the user's.
    var name: String?
    var bootLoader: any BootLoader
    /// Bytes for the console at the end of the input.
    var endOfInput: [UInt8] = []
    /// Whether input waits until the guest shows by DTR that it is ready.
    var holdsInput = false
}

extension GuestOptions {
    /// Finds the guest and prepares what it boots from; for Debian, fetches what is missing.
    ///
    /// - Parameters:
    ///   - configuration: the machine that it is for.
    ///   - console: the console as Debian's init is to see it.
    func prepareGuest(for configuration: VirtualMachineConfiguration, console: GuestConsole) throws -> GuestToRun {
        try checkCombinations()
        if let kernel {
            return GuestToRun(name: nil, bootLoader: try kernelBootLoader(kernel))
        }
        if let firmware {
            return GuestToRun(name: nil, bootLoader: FirmwareBootLoader(firmware: .file(firmware)))
        }
        if let flat {
            return GuestToRun(name: nil, bootLoader: FlatBinaryBootLoader(binary: .file(flat)))
        }
        let name = guest ?? "tour"
        if name == debianName { return try prepareDebian(configuration, console) }
        guard let embedded = EmbeddedGuest.named(name) else {
            let known = EmbeddedGuest.all.map(\.name).sorted() + [debianName]
            throw Failure(
                "unknown guest '\(name)'\(suggestion(for: name, among: known)); known: "
                    + known.joined(separator: ", "))
        }
        let needed = embedded.requirements.memory
        guard memory.bytes >= needed else {
            throw Failure(
                "guest '\(name)' needs \(describeSize(needed)) of memory; \(describeSize(memory.bytes)) were given")
        }
        let processors = embedded.requirements.processors
        if let cpus, cpus > 0, cpus < processors {
            throw Failure("guest '\(name)' needs \(processors) vCPUs; \(cpus) were given")
        }
        return GuestToRun(name: name, bootLoader: embedded.bootLoader(commandLine: append ?? ""))
    }

    /// Number of vCPUs: an embedded guest may need more than one.
    var cpuCount: Int { cpus ?? guest.flatMap(EmbeddedGuest.named)?.requirements.processors ?? 1 }

    /// The machine, with nothing to boot yet and its serial port not wired.
    func makeConfiguration() -> VirtualMachineConfiguration {
        var configuration = VirtualMachineConfiguration()
        configuration.memorySize = memory.bytes
        configuration.cpuCount = cpuCount
        configuration.cpuModel = cpu
        configuration.paravirtualInterface = paravirt
        configuration.exitPortMode = exitPort
        return configuration
    }

    private func checkCombinations() throws {
        let sources = [
            guest.map { "guest '\($0)'" }, kernel.map { _ in "--kernel" }, firmware.map { _ in "--firmware" },
            flat.map { _ in "--flat" },
        ].compactMap { $0 }
        guard sources.count <= 1 else {
            throw Failure("\(sources[0]) and \(sources[1]) exclude each other: a machine boots one thing")
        }
        let isDebian = guest == debianName
        if initrd != nil, kernel == nil { throw Failure("--initrd goes with --kernel") }
        let takesCommandLine = kernel != nil || isDebian || EmbeddedGuest.named(guest ?? "tour")?.kind == .multiboot
        if append != nil, !takesCommandLine {
            throw Failure("--append goes with --kernel, guest 'debian' or an embedded guest that is a Multiboot kernel")
        }
        if debianKernel != nil, !isDebian { throw Failure("--debian-kernel goes with guest 'debian'") }
        if userland != nil, !isDebian { throw Failure("--userland goes with guest 'debian'") }
        if !command.isEmpty, !isDebian { throw Failure("a command after -- goes with guest 'debian'") }
    }

    // MARK: Debian

    private func prepareDebian(
        _ configuration: VirtualMachineConfiguration, _ console: GuestConsole
    ) throws -> GuestToRun {
        // What can be found wrong without a download is found first.
        do throws(ConfigurationError) { try configuration.validateMachine() } catch { throw Failure(error) }

        var options = DebianGuestOptions()
        options.kernel = debianKernel ?? .cloud
        options.command = command.isEmpty ? nil : CommandLineBytes.last(command.count)
        options.console = console
        options.kernelParameters = append ?? ""
        if let userland {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: userland, isDirectory: &isFolder) else {
                throw Failure("userland \(userland): no such file or directory")
            }
            options.userland = isFolder.boolValue ? .folder(userland) : .archive(userland)
        }
        do throws(DebianGuestError) {
            let guest = try DebianGuest.prepare(options) { say($0) }
            let loader = LinuxBootLoader(
                kernel: .file(guest.kernelPath), initialRamdisk: .bytes(guest.initrd, name: "Debian's initramfs"),
                commandLine: guest.commandLine)
            return GuestToRun(
                name: debianName, bootLoader: loader, endOfInput: guest.endOfInput, holdsInput: guest.gatesInput)
        } catch {
            throw Failure(error.description)
        }
    }

    // MARK: Kernels

    private func kernelBootLoader(_ path: String) throws -> any BootLoader {
        let kernel = BootFile.file(path)
        do throws(ConfigurationError) {
            switch try KernelKind(of: kernel) {
            case .linux:
                return LinuxBootLoader(
                    kernel: kernel, initialRamdisk: initrd.map { .file($0) }, commandLine: append ?? "")
            case .multiboot:
                return MultibootBootLoader(
                    kernel: kernel, modules: MultibootModule.list(initrd ?? ""), commandLine: append ?? "")
            }
        } catch {
            throw Failure(error)
        }
    }
}

extension MultibootModule {
    /// Modules as QEMU has them written: "FILE ARGUMENTS,FILE ARGUMENTS", where a comma in a name is doubled.
    static func list(_ text: String) -> [MultibootModule] {
        let comma = "\u{0}"
        return text.replacingOccurrences(of: ",,", with: comma).split(separator: ",").map { entry in
            let entry = entry.replacingOccurrences(of: comma, with: ",")
            let path = entry.prefix { $0 != " " }
            return MultibootModule(file: .file(String(path)), text: entry)
        }
    }
}

extension EmbeddedGuest {
    /// How the guest is started. A command line is for Multiboot kernels.
    func bootLoader(commandLine: String) -> any BootLoader {
        let file = BootFile.bytes(image, name: name)
        return switch kind {
        case .firmware: FirmwareBootLoader(firmware: file)
        case .multiboot: MultibootBootLoader(kernel: file, commandLine: commandLine)
        case .flat(let address, let entry):
            FlatBinaryBootLoader(binary: file, loadAddress: address, entryPoint: entry)
        }
    }
}
