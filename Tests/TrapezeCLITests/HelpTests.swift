// What `trapeze` tells about itself.

import Testing

@Suite struct HelpTests {
    @Test(arguments: [[], ["--help"], ["-h"], ["help"]])
    func helpNamesEveryCommand(arguments: [String]) throws {
        let result = try run(arguments)
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        for command in ["run", "compare", "guests", "doctor"] { #expect(result.output.contains("\n  \(command) ")) }
    }

    @Test func runHelpListsTheOptions() throws {
        let result = try run("run", "--help")
        #expect(result.status == 0)
        for option in [
            "--engine", "--kernel", "-kernel", "--initrd", "-initrd", "--append", "-append", "--firmware", "-bios",
            "--flat", "--memory", "-m", "--cpus", "-smp", "--cpu", "--serial", "--clock", "--timeout", "--stats",
            "--exit-port", "--on-reset", "--verbose", "--debian-kernel", "--userland", "--gdb",
            "--wait", "--paravirt",
        ] {
            #expect(result.output.contains(option), "\(option)")
        }
    }

    @Test func version() throws {
        let result = try run("--version")
        #expect(result.status == 0)
        #expect(result.output.wholeMatch(of: /trapeze \d+\.\d+\.\d+\n/) != nil)
    }

    @Test func guestsAreListed() throws {
        let result = try run("guests")
        #expect(result.status == 0)
        for guest in ["tour", "halt", "triple-fault", "debian"] { #expect(result.output.contains("\(guest) ")) }
    }

    @Test func doctorKnowsEveryEngine() throws {
        let result = try run("doctor")
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        for name in ["interpret", "kvm", "translate", "static", "trap", "auto", "/dev/kvm", "cache"] {
            #expect(result.output.contains("\n  \(name) "), "\(name)")
        }
        #expect(result.output.contains("takes "))
    }
}
