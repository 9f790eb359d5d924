// memtest86+, a whole pass of it over a small memory, in its 64-bit and its 32-bit build: both of Linux's boot protocols,
// paging of both kinds, and every width of access, with the console on the serial port.

import Testing

@Suite(.serialized, SuiteFolder.memtest.isNamed)
struct MemtestTests {
    @Test(arguments: Program.engines, ["x64", "ia32"])
    func firstPassIsWithoutError(engine: String, build: String) throws {
        let folder = try #require(SuiteFolder.memtest.path)
        let program = try InteractiveProgram([
            "run", "--engine", engine, "--kernel", "\(folder)/memtest86+\(build).bin",
            "--append", "console=ttyS0,115200", "--memory", "8M",
        ])
        let start = ContinuousClock.now
        let counts = /Pass: +([1-9][0-9]*) +Errors: +([0-9]+)/
        let screen = try program.wait("end of the first pass", seconds: 1800) { $0.suffix(4000).contains(counts) }
        let last = try #require(screen.matches(of: counts).last)
        print("memtest86+ \(build) on \(engine): a pass took \(ContinuousClock.now - start)")
        #expect(last.2 == "0", "errors were found; the screen:\n\(screen.suffix(4000))")
    }
}
