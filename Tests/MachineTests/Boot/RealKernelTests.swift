// Kernels as distributions build them: every vmlinuz* and vmlinux* in the folder that TRAPEZE_TEST_KERNELS names.

import Foundation
import Machine
import Memory
import Testing
import VirtualCPU

@Suite struct RealKernelTests {
    private static let folder = ProcessInfo.processInfo.environment["TRAPEZE_TEST_KERNELS"]

    private static func kernels(_ prefix: String) -> [String] {
        guard let folder, let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return [] }
        return names.filter { $0.hasPrefix(prefix) }.sorted().map { "\(folder)/\($0)" }
    }

    private static let hint: Comment = "TRAPEZE_TEST_KERNELS names no folder with kernels"

    @Test(.enabled(if: !kernels("vmlinuz").isEmpty, hint), arguments: kernels("vmlinuz"))
    func loadsBzImages(path: String) throws {
        let file = [UInt8](try Data(contentsOf: URL(filePath: path)))
        for size: UInt64 in [128 << 20, 4 << 30] {
            let booted = try Booted(.kernel(.file(path), commandLine: "console=ttyS0"), size: size)
            #expect(booted.cpu.rip % 0x20_0000 == 0x200)
            let start = (1 + Int(file[0x1f1])) * 512
            #expect(try booted.bytes(booted.cpu.rip - 0x200, file.count - start) == Array(file[start...]))
        }
        let error = try bootError(.kernel(.file(path)), size: 32 << 20)
        guard case .doesNotFit(file: path, _, memory: 32 << 20)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test(.enabled(if: !kernels("vmlinuz").isEmpty, hint), arguments: kernels("vmlinuz"))
    func namesTheReasonForEveryTruncationOfTheHeader(path: String) throws {
        let file = [UInt8](try Data(contentsOf: URL(filePath: path)).prefix(0x300))
        for count in 1...0x300 {
            switch try bootError(.kernel(.bytes(Array(file[..<count]), name: "k"))) {
            case .notAKernel(file: "k", _)? where count < 0x206: break
            case .truncated(file: "k", _)? where count >= 0x206: break
            case let error: Issue.record("\(count) bytes: \(String(describing: error))")
            }
        }
    }

    @Test(.enabled(if: !kernels("vmlinux-").isEmpty, hint), arguments: kernels("vmlinux-"))
    func loadsVmlinuxThroughPVH(path: String) throws {
        let booted = try Booted(.kernel(.file(path), commandLine: "console=ttyS0"), size: 256 << 20)
        #expect(booted.cpu.cr0 == 0x11 && booted.cpu.rip >= 0x100_0000)
        #expect(try booted.integer(booted.cpu.gpr[3], UInt32.self) == 0x336e_c578)
    }
}
