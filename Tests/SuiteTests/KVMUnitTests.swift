// kvm-unit-tests against the built program, on every engine that works here.

import Testing

@Suite(.serialized, SuiteFolder.kvmUnitTests.isNamed)
struct KVMUnitTests {
    @Test(arguments: Program.engines, KVMUnitTest.all64)
    func behavesAsExpected(engine: String, test: KVMUnitTest) throws {
        try test.check(engine: engine, folder: try #require(SuiteFolder.kvmUnitTests.path))
    }
}

@Suite(.serialized, SuiteFolder.kvmUnitTests32.isNamed)
struct KVMUnitTests32 {
    @Test(arguments: Program.engines, KVMUnitTest.all32)
    func behavesAsExpected(engine: String, test: KVMUnitTest) throws {
        try test.check(engine: engine, folder: try #require(SuiteFolder.kvmUnitTests32.path))
    }
}

extension KVMUnitTest {
    /// Runs the test and compares what it says with what is expected.
    fileprivate func check(engine: String, folder: String) throws {
        let result = try Program.run(
            commandLine(engine: engine, folder: folder), seconds: seconds)
        let report = KVMUnitTestReport(result)
        print("kvm-unit-tests \(name) on \(engine): \(report.summary)")
        let details = Comment(
            rawValue: ([report.summary] + report.failures + [report.ending, result.errors]).joined(separator: "\n"))
        switch expectation {
        case .passes: #expect(report.isPassed, details)
        case .skips: #expect(report.isSkipped, details)
        case .fails(let reason):
            // One that passes all of a sudden belongs into the other part of the table.
            withKnownIssue(Comment(rawValue: reason)) { #expect(report.isPassed, details) }
        }
    }
}
