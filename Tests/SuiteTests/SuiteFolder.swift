// Where other people's suites are: in folders that environment variables name, built already. Nothing of them is part of
// this repository; how to get and build each is in Docs/conformance.md.

import Foundation
import Testing

/// A folder with a suite that was built.
struct SuiteFolder: Sendable {
    /// The environment variable that names it.
    let variable: String

    /// The folder; nil if the variable is unset.
    var path: String? {
        guard let value = ProcessInfo.processInfo.environment[variable], !value.isEmpty else { return nil }
        return value
    }

    /// Runs a test only where the folder is known; the skip says why.
    var isNamed: ConditionTrait {
        .enabled(if: path != nil, Comment(rawValue: "\(variable) names no folder; see Docs/conformance.md"))
    }

    /// kvm-unit-tests built for x86_64: its `x86` folder.
    static let kvmUnitTests = SuiteFolder(variable: "TRAPEZE_KVM_UNIT_TESTS")
    /// The same built for i386.
    static let kvmUnitTests32 = SuiteFolder(variable: "TRAPEZE_KVM_UNIT_TESTS_I386")
    /// xv6 for the PC, with its `kernelmemfs`.
    static let xv6 = SuiteFolder(variable: "TRAPEZE_XV6")
    /// memtest86+, with its `memtest86+x64.bin` and `memtest86+ia32.bin`.
    static let memtest = SuiteFolder(variable: "TRAPEZE_MEMTEST86PLUS")
    /// test386.asm, with its `test386.bin`.
    static let test386 = SuiteFolder(variable: "TRAPEZE_TEST386")
}
