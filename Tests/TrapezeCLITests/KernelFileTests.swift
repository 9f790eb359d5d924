// Kernels from files, whole and damaged, with what goes with them.

import Foundation
import Guests
import Testing

@Suite struct KernelFileTests {
    private func write(_ bytes: [UInt8], to path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    private func expectRefusal(_ result: Result, naming parts: String...) {
        #expect(result.status == 125)
        #expect(result.errorLines.count == 1, "\(result.errors)")
        for part in parts { #expect(result.errors.contains(part), "\(result.errors)") }
        #expect(result.cpuSeconds < 1)
        #expect(result.peakMemory < 200 << 20)
    }

    @Test(arguments: [
        ["--kernel", "--initrd", "--append", "--memory"], ["-kernel", "-initrd", "-append", "-m"],
    ])
    func linux(options: [String]) throws {
        try withTemporaryFolder { folder in
            let (kernel, initrd) = (folder + "/bzImage", folder + "/initrd")
            try write(TinyKernel.image, to: kernel)
            try write([1, 2, 3], to: initrd)
            let arguments = zip(options, [kernel, initrd, "-quiet --console=ttyS0", "64"]).flatMap { [$0, $1] }
            let result = try run(["run"] + arguments)
            #expect(result.status == 42, "\(result.errors)")
        }
    }

    @Test func linuxTruncatedAnywhere() throws {
        try withTemporaryFolder { folder in
            let kernel = folder + "/bzImage"
            // Every byte of the header, then some way into the code, and all but its last paragraph.
            for length in Array(0x1f0..<TinyKernel.headerEnd) + [0, 1, 1024, 1500, TinyKernel.image.count - 16] {
                try write(Array(TinyKernel.image[..<length]), to: kernel)
                let result = try run("run", "--kernel", kernel)
                expectRefusal(result, naming: kernel)
            }
        }
    }

    @Test func initrdLargerThanMemory() throws {
        try withTemporaryFolder { folder in
            let (kernel, initrd) = (folder + "/bzImage", folder + "/initrd")
            try write(TinyKernel.image, to: kernel)
            try write([], to: initrd)
            #expect(truncate(initrd, 8 << 30) == 0)
            expectRefusal(
                try run("run", "--kernel", kernel, "--initrd", initrd, "--memory", "64M"), naming: initrd, "64 MiB")
            expectRefusal(
                try run("run", "--kernel", kernel, "--initrd", folder + "/none"), naming: folder + "/none",
                "o such file")
        }
    }

    @Test func commandLineOverTheLimit() throws {
        try withTemporaryFolder { folder in
            let kernel = folder + "/bzImage"
            try write(TinyKernel.image, to: kernel)
            let longest = String(repeating: "x", count: TinyKernel.commandLineLimit)
            #expect(try run("run", "--kernel", kernel, "--append", longest).status == 42)
            expectRefusal(
                try run("run", "--kernel", kernel, "--append", longest + "x"), naming: "command line", "256", "255")
        }
    }

    @Test func multibootWithModules() throws {
        try withTemporaryFolder { folder in
            let (kernel, module) = (folder + "/kernel", folder + "/mod,ule")
            try write(try #require(EmbeddedGuest.named("exit-status")).image, to: kernel)
            try write([1, 2, 3], to: module)
            let name = module.replacingOccurrences(of: ",", with: ",,")
            let result = try run(
                "run", "--kernel", kernel, "--initrd", "\(name) first one,\(name)", "--append", "words")
            #expect(result.status == 42, "\(result.errors)")
            expectRefusal(
                try run("run", "--kernel", kernel, "--initrd", "\(name),\(folder)/none"), naming: folder + "/none")
        }
    }

    @Test func firmware() throws {
        try withTemporaryFolder { folder in
            let image = folder + "/firmware"
            try write(try #require(EmbeddedGuest.named("tour")).image, to: image)
            #expect(try run("run", "--firmware", image).status == 0)
            #expect(try run("run", "-bios", image).status == 0)
        }
    }

    @Test func flatBinary() throws {
        try withTemporaryFolder { folder in
            let image = folder + "/flat"
            try write([0xb0, 0x07, 0xe6, 0xf4, 0xf4], to: image)  // mov al, 7; out 0xf4, al; hlt
            #expect(try run("run", "--flat", image).status == 7)
        }
    }
}
