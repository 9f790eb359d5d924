// test386.asm, a firmware image that exercises an 80386 in real, protected and virtual-8086 mode. It stops at the first
// mistake that it finds; if there is none, it prints results of arithmetic for comparison with those of a real CPU.

import Foundation
import Testing

@Suite(SuiteFolder.test386.isNamed)
struct Test386Tests {
    @Test(arguments: Program.engines) func printsTheReference(engine: String) throws {
        let folder = try #require(SuiteFolder.test386.path)
        let reference = try String(contentsOfFile: "\(folder)/test386-EE-reference.txt", encoding: .utf8)
        let program = try InteractiveProgram([
            "run", "--engine", engine, "--firmware", "\(folder)/test386.bin", "--memory", "16M",
        ])
        let length = reference.utf8.count
        let results = try program.wait("end of the results", seconds: 300) { $0.utf8.count >= length }
        if results != reference {
            let pairs = zip(results.split(separator: "\n"), reference.split(separator: "\n"))
            for (got, expected) in pairs.filter({ $0 != $1 }).prefix(20) {
                Issue.record("\(got)\nwhere the reference has\n\(expected)")
            }
        }
        #expect(results == reference)
    }
}
