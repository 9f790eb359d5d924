// kvm-unit-tests against the built program, on every engine that works here.

import Testing

@Suite(.serialized, SuiteFolder.kvmUnitTests.isNamed)
struct KVMUnitTests {
    @Test(arguments: Program.engines, KVMUnitTest.all)
    func behavesAsExpected(engine: String, test: KVMUnitTest) throws {
        let folder = try #require(SuiteFolder.kvmUnitTests.path)
        let result = try Program.run(
            test.commandLine(engine: engine, folder: folder), seconds: test.seconds)
        let report = KVMUnitTestReport(result)
        print("kvm-unit-tests \(test.name) on \(engine): \(report.summary)")
        let details = Comment(
            rawValue: ([report.summary] + report.failures + [report.ending, result.errors]).joined(separator: "\n"))
        switch test.expectation {
        case .passes: #expect(report.isPassed, details)
        case .skips: #expect(report.isSkipped, details)
        case .fails(let reason):
            // One that passes all of a sudden belongs into the other part of the table.
            withKnownIssue(Comment(rawValue: reason)) { #expect(report.isPassed, details) }
        }
    }
}
