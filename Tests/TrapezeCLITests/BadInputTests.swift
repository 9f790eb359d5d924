// Every mistake of the user's gives one line that names what was wrong, status 125 (126 for an engine), no delay and no
// great use of memory.

import Foundation
import Testing

/// Arguments, and what the one line on standard error must contain.
struct BadInput: CustomTestStringConvertible {
    var arguments: [String]
    var message: [String]
    var status: Int32 = 125

    init(_ arguments: String..., message: String..., status: Int32 = 125) {
        self.arguments = arguments
        self.message = message
        self.status = status
    }

    var testDescription: String { arguments.joined(separator: " ") }
}

@Suite struct BadInputTests {
    @Test(arguments: [
        BadInput(
            "no-such-command", message: "unknown command 'no-such-command'",
            "run, verify, compare, explain, guests, doctor"),
        BadInput("rum", message: "did you mean 'run'?"),
        BadInput("run", "--no-such-option", message: "Unknown option '--no-such-option'"),
        BadInput("run", "--memory", message: "Missing value"),
        BadInput("run", "tour", "halt", message: "Unexpected argument 'halt'"),
        BadInput("run", "--memory", "0", message: "4 MiB"),
        BadInput("run", "--memory", "1K", message: "1 KiB"),
        BadInput("run", "--memory", "1P", message: "1 PiB of memory is too much"),
        BadInput("run", "--memory", "99999999999999999999", message: "the number is too large"),
        BadInput("run", "--memory", "16777216T", message: "the size is too large"),
        BadInput("run", "--memory", "12x", message: "12x", "512M"),
        BadInput("run", "--memory", "-1", message: "--memory"),
        BadInput("run", "--memory", "1.5G", message: "1.5G"),
        BadInput("run", "--firmware", "/bin/true", "--memory", "0", message: "0 bytes of memory is too little"),
        BadInput("run", "--firmware", "/bin/true", "--memory", "1K", message: "1 KiB of memory is too little"),
        BadInput("run", "--memory", "4194303K", message: "4-KiB pages"),
        BadInput("run", "--engine", "interpet", message: "unknown engine 'interpet'", "did you mean 'interpret'?"),
        BadInput("run", "--engine", "kvm", message: "engine 'kvm' is not available", status: 126),
        BadInput("run", "--engine", "static", message: "engine 'static' is not available", status: 126),
        BadInput("run", "--engine", "trap", message: "engine 'trap' is not available", status: 126),
        BadInput("run", "debian", "--engine", "kvm", message: "engine 'kvm' is not available", status: 126),
        BadInput("run", "--cpu", "x86-64-v33", message: "unknown CPU model 'x86-64-v33'", "did you mean"),
        BadInput("run", "--cpus", "65", message: "1 to 64 vCPUs; 65 were asked for"),
        BadInput("run", "--cpus", "0", message: "0 were asked for"),
        BadInput("run", "smp", "--cpus", "2", message: "guest 'smp' needs 4 vCPUs; 2 were given"),
        BadInput("run", "turo", message: "unknown guest 'turo'", "did you mean 'tour'?"),
        BadInput("run", "--serial", "com1", message: "stdio, null and file=PATH"),
        BadInput("run", "--serial", "file=/no/such/folder/f", message: "/no/such/folder/f", "no such file"),
        BadInput("run", "--stats", "/no/such/folder/f", message: "/no/such/folder/f", "no such file"),
        BadInput("run", "--clock", "sun", message: "sun"),
        BadInput("run", "--gdb", "65536", message: "--gdb", "a port of 0 to 65535"),
        BadInput("run", "--gdb", "::1:1234", message: "--gdb", "127.0.0.1:1234"),
        BadInput("run", "--gdb", "192.0.2.1:1", message: "cannot listen on 192.0.2.1:1"),
        BadInput("run", "--gdb", "no.such.host.invalid:1", message: "cannot listen on no.such.host.invalid:1"),
        BadInput("run", "--wait", message: "--wait goes with --gdb"),
        BadInput("run", "--timeout", "0", message: "greater than 0"),
        BadInput("run", "--timeout", "nan", message: "greater than 0"),
        BadInput("run", "--exit-port", "odd", message: "odd"),
        BadInput("run", "--on-reset", "exit:256", message: "0 to 255"),
        BadInput("run", "--initrd", "/bin/true", message: "--initrd goes with --kernel"),
        BadInput("run", "--append", "quiet", message: "--append goes with"),
        BadInput("run", "tour", "--kernel", "/bin/true", message: "exclude each other"),
        BadInput("run", "--firmware", "/bin/true", "--flat", "/bin/true", message: "exclude each other"),
        BadInput("run", "tour", "--", "ls", message: "goes with guest 'debian'"),
        BadInput("run", "tour", "--debian-kernel", "cloud", message: "goes with guest 'debian'"),
        BadInput("run", "debian", "--debian-kernel", "hurd", message: "hurd"),
        BadInput("run", "debian", "--userland", "/no/such/folder", message: "/no/such/folder", "no such file"),
    ])
    func oneLineAndStatus(_ bad: BadInput) throws {
        try expectRefusal(bad, run(bad.arguments, environment: ["TRAPEZE_KVM_DEVICE": "/nonexistent"]))
    }

    @Test(arguments: ["--kernel", "-kernel", "--firmware", "-bios", "--flat"])
    func badFiles(option: String) throws {
        try withTemporaryFolder { folder in
            let missing = folder + "/missing"
            try expectRefusal(
                BadInput(message: missing, "o such file or directory"), run("run", option, missing))
            let empty = folder + "/empty"
            try "".write(toFile: empty, atomically: false, encoding: .utf8)
            try expectRefusal(BadInput(message: empty, "the file is empty"), run("run", option, empty))
            try expectRefusal(BadInput(message: folder, "is a "), run("run", option, folder))
            let pipe = folder + "/pipe"
            #expect(mkfifo(pipe, 0o600) == 0)
            try expectRefusal(BadInput(message: pipe, "pipe"), run("run", option, pipe))
            let loop = folder + "/loop"
            #expect(symlink("loop", loop) == 0)
            try expectRefusal(BadInput(message: loop, "oo many levels"), run("run", option, loop))
        }
    }

    @Test(.disabled(if: getuid() == 0, "root can read every file"))
    func unreadableFile() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/secret"
            try "x".write(toFile: path, atomically: false, encoding: .utf8)
            chmod(path, 0)
            try expectRefusal(BadInput(message: path, "ermission denied"), run("run", "--kernel", path))
        }
    }

    @Test func notAKernel() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/text"
            try String(repeating: "no kernel at all\n", count: 1000)
                .write(toFile: path, atomically: false, encoding: .utf8)
            try expectRefusal(BadInput(message: path, "not a kernel"), run("run", "--kernel", path))
        }
    }

    private func expectRefusal(_ bad: BadInput, _ result: Result) throws {
        #expect(result.status == bad.status)
        #expect(result.output.isEmpty)
        #expect(result.errorLines.count == 1, "\(result.errors)")
        #expect(result.errors.hasPrefix("trapeze: ") && result.errors.hasSuffix("\n"))
        for part in bad.message { #expect(result.errors.contains(part), "\(result.errors)") }
        #expect(result.cpuSeconds < 1)
        #expect(result.peakMemory < 200 << 20)
    }
}
