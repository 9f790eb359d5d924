// RDTSC, RDTSCP, RDPMC, CPUID, RDPID, RDRAND and RDSEED.

import CPrimitives
import VirtualCPU

extension CPU {
    private func requireTimeStamp() throws(GuestFault) {
        if cpl > 0 && state.pointee.cr4 & CR4.tsd != 0 { throw .generalProtection() }
    }

    func readTimeStampCounter() throws(GuestFault) {
        try requireTimeStamp()
        let value = owner.timeStampCounter()
        self[.rax] = value & 0xffff_ffff
        self[.rdx] = value >> 32
    }

    func readTimeStampCounterAndID() throws(GuestFault) {
        try require(.rdtscp)
        try readTimeStampCounter()
        self[.rcx] = state.pointee.tsc_aux & 0xffff_ffff
    }

    /// No model counts events. AMD's CPUs have four counters whatever CPUID says (APM volume 2, section 13.2.1): they
    /// stay at 0, here as in RDMSR.
    func readPerformanceCounter() throws(GuestFault) {
        guard translation.pointee.vendor == .amd, self[.rcx] & 0xffff_ffff < 4,
            cpl == 0 || state.pointee.cr4 & CR4.pce != 0 || !protectedMode
        else { throw .generalProtection() }
        self[.rax] = 0
        self[.rdx] = 0
    }

    func readProcessorID(_ i: Instruction) throws(GuestFault) {
        try require(.rdpid)
        setRegister(i.pointee.rm, width: i.pointee.width, to: state.pointee.tsc_aux & 0xffff_ffff)
    }

    func identify() {
        state.pointee.counters.cpuid_instructions &+= 1
        let leaf = UInt32(truncatingIfNeeded: self[.rax])
        let subleaf = UInt32(truncatingIfNeeded: self[.rcx])
        let apicBase = withLocalAPIC { $0.baseMSR }
        let conditions = CPUIDAnswers.Conditions(
            xcr0: state.pointee.xcr0,
            bits: state.pointee.cr4 & (CR4.osxsave | CR4.pke) | apicBase & Self.apicEnable, in64BitMode: in64BitMode)
        let answer = owner.cpuidAnswers.find(leaf, subleaf, conditions) ?? identity(leaf, subleaf, conditions)
        self[.rax] = UInt64(answer.eax)
        self[.rbx] = UInt64(answer.ebx)
        self[.rcx] = UInt64(answer.ecx)
        self[.rdx] = UInt64(answer.edx)
        // It is serializing: what others have written is seen from here on.
        heedAttention()
    }

    /// IA32_APIC_BASE, bit 11.
    private static var apicEnable: UInt64 { 1 << 11 }

    /// Works CPUID's answer out, and notes it.
    @inline(never) private func identity(
        _ leaf: UInt32, _ subleaf: UInt32, _ conditions: CPUIDAnswers.Conditions
    ) -> tz_cpuid_result {
        let owner = self.owner
        let context = CPUIDContext(
            apicID: UInt32(truncatingIfNeeded: owner.id), vcpuCount: UInt32(max(owner.vm.vcpus.count, 1)),
            xcr0: conditions.xcr0, osxsave: conditions.bits & CR4.osxsave != 0,
            ospke: conditions.bits & CR4.pke != 0, apicEnabled: conditions.bits & Self.apicEnable != 0,
            in64BitMode: conditions.in64BitMode, isParavirtual: owner.vm.isParavirtual)
        let answer = owner.vm.model.cpuid(leaf, subleaf, context)
        owner.cpuidAnswers.note(leaf, subleaf, conditions, answer)
        return answer
    }

    /// RDRAND and RDSEED. With a clock that counts instructions runs are repeatable, so the numbers are a function of
    /// the instruction count; otherwise they are the host kernel's.
    func random(_ i: Instruction, _ feature: Feature) throws(GuestFault) {
        try require(feature)
        let owner = self.owner
        let value: UInt64
        if owner.vm.clock.source == .instructions {
            var z = owner.timeStampCounter() &+ state.pointee.rip &+ self[.rsp] &* 0x9e37_79b9_7f4a_7c15
            z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
            value = z ^ z >> 31
        } else {
            value = .random(in: .min ... .max)
        }
        setRegister(i.pointee.rm, width: i.pointee.width, to: value)
        state.pointee.arithmetic = UInt64(TZ_FLAG_CF)
    }
}
