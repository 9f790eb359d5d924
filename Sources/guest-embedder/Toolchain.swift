// Compiles and links a guest with the Swift toolchain's own clang and ld.lld.
//
// The result is a flat image: what the linker script of its kind lays out, with no ELF around it. A guest's folder may
// bring a `link.ld` of its own; otherwise `guests/common/KIND.ld` is used.

import Foundation

/// The compiler, the linker, and the folders they work in.
struct Toolchain {
    let clang: URL
    let linker: URL
    let common: URL
    let scratch: URL

    /// Builds the guest that `manifest` declares and returns its image.
    func build(_ manifest: Manifest) throws -> [UInt8] {
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        let objects = try sources(of: manifest).map { source in
            // A guest and the common folder may both have a file of that name.
            let folder = source.deletingLastPathComponent().lastPathComponent
            let object = scratch.appending(path: "\(folder)-\(source.lastPathComponent).o")
            let code = source.deletingLastPathComponent().path() == common.path() ? .kernel : manifest.code
            try run(clang, compilerFlags(manifest, code) + ["-c", source.path(), "-o", object.path()])
            return object
        }
        let elf = scratch.appending(path: "\(manifest.name).elf")
        let image = scratch.appending(path: "\(manifest.name).bin")
        let script = linkerScript(of: manifest)
        let emulation = manifest.architecture == .amd64 ? "elf_x86_64" : "elf_i386"
        let flags = [
            "-m", emulation, "-T", script.path(), "--fatal-warnings", "-z", "noexecstack", "--no-dynamic-linker",
        ]
        // The ELF file is for people: it has the symbols that a disassembly or a debugger wants.
        try run(linker, flags + objects.map { $0.path() } + ["-o", elf.path()])
        try run(linker, flags + ["--oformat", "binary"] + objects.map { $0.path() } + ["-o", image.path()])
        let bytes = [UInt8](try Data(contentsOf: image))
        guard !bytes.isEmpty else { throw BuildError(file: script, "the image of guest \(manifest.name) is empty") }
        return bytes
    }

    private func sources(of manifest: Manifest) throws -> [URL] {
        let own = try FileManager.default.contentsOfDirectory(at: manifest.folder, includingPropertiesForKeys: nil)
            .filter { ["S", "c"].contains($0.pathExtension) }
            .sorted { $0.path() < $1.path() }
        guard !own.isEmpty else { throw BuildError(file: manifest.folder, "no .S or .c file in the guest's folder") }
        return own + manifest.commonSources.map { common.appending(path: $0) }
    }

    private func linkerScript(of manifest: Manifest) -> URL {
        let own = manifest.folder.appending(path: "link.ld")
        if FileManager.default.fileExists(atPath: own.path()) { return own }
        return switch manifest.kind {
        case .firmware: common.appending(path: "firmware.ld")
        case .multiboot: common.appending(path: "multiboot.ld")
        case .flat: common.appending(path: "flat.ld")
        }
    }

    private func compilerFlags(_ manifest: Manifest, _ code: Manifest.Code) -> [String] {
        let target = manifest.architecture == .amd64 ? "x86_64-none-elf" : "i686-none-elf"
        let all = [
            "--no-default-config", "--target=\(target)", "-std=c17", "-Wall", "-Wextra", "-Werror", "-I", common.path(),
            "-ffreestanding", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=none",
        ]
        return switch code {
        case .kernel:
            all + [
                "-Os", "-fno-pic", "-mno-red-zone", "-mgeneral-regs-only", "-fno-strict-aliasing", "-fno-jump-tables",
            ]
        case .program: all + ["-O2", "-fpie", "-fvisibility=hidden", "-fomit-frame-pointer", "-fno-math-errno"]
        }
    }

    /// Runs `tool`, whose own messages go to standard error, and throws if it fails.
    private func run(_ tool: URL, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = tool
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw BuildError("\(tool.lastPathComponent) failed with status \(process.terminationStatus)")
        }
    }
}
