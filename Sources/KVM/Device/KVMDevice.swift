// /dev/kvm: opening it, and finding out what this host's KVM can do.

import CKVM
import Glibc
import VirtualCPU
import X86

/// An open KVM device.
struct KVMDevice: ~Copyable {
    let descriptor: Descriptor
    let capabilities: CapabilityValues

    /// The device that is opened: /dev/kvm, or what TRAPEZE_KVM_DEVICE names.
    static var path: String {
        guard let path = getenv("TRAPEZE_KVM_DEVICE"), path.pointee != 0 else { return "/dev/kvm" }
        return String(cString: path)
    }

    /// Opens the device and checks that it is one that the engine can use. The error says why it is not, in one line.
    init() throws(EngineError) {
        let path = Self.path
        let opened = retrying { ckvm_open(path) }
        guard opened >= 0 else { throw EngineError(Self.reason(path, -opened)) }
        let descriptor = try Descriptor(opened, from: "open")
        let version = retrying { ckvm_get_api_version(descriptor.number) }
        guard version == KVM_API_VERSION else {
            let found = version < 0 ? "no version (\(KVMCall.text(-version)))" : "version \(version)"
            throw EngineError("\(path) speaks \(found) of the KVM interface; \(KVM_API_VERSION) is needed")
        }
        let capabilities = try CapabilityValues(of: descriptor)
        let missing = capabilities.missing
        guard missing.isEmpty else {
            let names = missing.map { "KVM_CAP_\($0.name) (\($0.purpose))" }.joined(separator: ", ")
            throw EngineError("this host's KVM lacks \(names)")
        }
        self.descriptor = descriptor
        self.capabilities = capabilities
    }

    /// Why the device could not be opened, and what would help.
    private static func reason(_ path: String, _ error: Int32) -> String {
        switch error {
        case Errno.noEntry:
            return "there is no \(path): the host has no hardware virtualization, or its kvm module is not loaded"
        case Errno.noDevice: return "\(path) has no driver behind it: the kvm module is not loaded"
        case Errno.access:
            var status = stat()
            guard stat(path, &status) == 0 else { return "\(path): no permission" }
            let group = getgrgid(status.st_gid).map { String(cString: $0.pointee.gr_name) } ?? "\(status.st_gid)"
            let opensToGroup = status.st_mode & 0o060 == 0o060 && group != "root"
            return "no permission for \(path): "
                + (opensToGroup ? "membership of group '\(group)' gives it" : "only its owner has access")
        default: return "\(path) does not open: \(KVMCall.text(error))"
        }
    }

    /// A number of a VM's own: how much a page that is shared with a vCPU measures.
    func runPageSize() throws(EngineError) -> Int32 {
        let call: KVMCall = "KVM_GET_VCPU_MMAP_SIZE"
        return try call.check(retrying { ckvm_get_vcpu_mmap_size(descriptor.number) })
    }

    /// The MSRs that this KVM keeps.
    func msrNumbers() throws(EngineError) -> [UInt32] {
        var numbers = [UInt32](repeating: 0, count: Int(CKVM_LIST_MAXIMUM))
        let call: KVMCall = "KVM_GET_MSR_INDEX_LIST"
        let count = try call.check(
            retrying { ckvm_get_msr_index_list(descriptor.number, &numbers, UInt32(CKVM_LIST_MAXIMUM)) })
        return Array(numbers.prefix(Int(count)))
    }

    /// What CPUID may answer under this KVM. What the kernel adds by itself, and tells by other means, is in it too.
    func supportedCPUID() throws(EngineError) -> [CPUIDEntry] {
        var entries = [kvm_cpuid_entry2](repeating: kvm_cpuid_entry2(), count: Int(CKVM_LIST_MAXIMUM))
        let call: KVMCall = "KVM_GET_SUPPORTED_CPUID"
        let count = try call.check(
            retrying { ckvm_get_supported_cpuid(descriptor.number, &entries, UInt32(CKVM_LIST_MAXIMUM)) })
        return entries.prefix(Int(count)).map { entry in
            var ecx = entry.ecx
            if entry.function == 1 {
                // HYPERVISOR, and x2APIC, which the local APIC in the kernel has.
                ecx |= 1 << 31 | 1 << 21
                if capabilities.has(.tscDeadline) { ecx |= 1 << 24 }
            }
            return CPUIDEntry(
                leaf: entry.function, subleaf: entry.index,
                hasSubleaves: entry.flags & CKVM_CPUID_FLAG_SIGNIFICANT_INDEX != 0, eax: entry.eax,
                ebx: entry.ebx, ecx: ecx, edx: entry.edx)
        }
    }
}
