// `trapeze verify` as users see it. That it finds differences is tested where faults can be planted: ConformanceTests.

import Foundation
import Testing

@Suite struct VerifyTests {
    @Test func anEngineAgreesWithItself() throws {
        let result = try run("verify", "--reference", "interpret", "--against", "interpret", "tour")
        #expect(result.status == 0)
        #expect(try result.output == run("run", "tour", "--clock", "instructions").output)
        #expect(result.errorLines.count == 2, "\(result.errors)")
        #expect(
            result.errors.contains(
                #/^trapeze: interpret and interpret agree on [0-9]+ instructions \(states compared [0-9]+ times, memory/#
            ))
        #expect(result.errors.hasSuffix("trapeze: the guest's end: powered-off\n"))
    }

    @Test(arguments: [
        ["--grain", "block"], ["--every", "1000"], ["--grain", "instruction", "--from-instruction", "30000"],
    ])
    func grains(options: [String]) throws {
        let result = try run(["verify", "--against", "interpret", "exit-status", "--serial", "null"] + options)
        #expect(result.status == 0, "the status is the comparison's, not the guest's")
        #expect(result.errors.hasSuffix("trapeze: the guest's end: exited\n"), "\(result.errors)")
    }

    @Test func timeLimit() throws {
        let result = try run("verify", "--against", "interpret", "halt", "--timeout", "0.5")
        #expect(result.status == 124)
        #expect(result.errors.contains("agree on"))
        #expect(result.errors.contains("the time limit of 0.5 s is reached"))
    }

    @Test(arguments: [
        (["tour"], 125, "--against"), (["--against", "kvm", "tour"], 126, "engine 'kvm' is not available"),
        (["--against", "interpet", "tour"], 125, "unknown engine 'interpet'"),
        (["--against", "interpret", "--every", "0", "tour"], 125, "--every needs a number of 1 or more"),
        (["--against", "interpret", "--every", "5", "--grain", "block", "tour"], 125, "exclude each other"),
        (["--against", "interpret", "debian"], 125, "needs a command after --"),
        (["--against", "interpret", "tuor"], 125, "unknown guest 'tuor'"),
    ])
    func mistakes(arguments: [String], status: Int32, message: String) throws {
        let result = try run(["verify"] + arguments, environment: ["TRAPEZE_KVM_DEVICE": "/nonexistent"])
        #expect(result.status == status)
        #expect(result.errorLines.count == 1, "\(result.errors)")
        #expect(result.errors.contains(message), "\(result.errors)")
    }
}
