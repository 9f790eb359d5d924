// Owners of what the kernel hands out: a descriptor, and the page that a vCPU shares with it.

import CKVM
import VirtualCPU

/// A descriptor that is closed when its owner goes.
struct Descriptor: ~Copyable {
    let number: Int32

    /// Takes over what a call gave, which may be an error.
    init(_ result: Int32, from call: KVMCall) throws(EngineError) {
        number = try call.check(result)
    }

    deinit { _ = ckvm_close(number) }
}

/// The structure by which a vCPU and the kernel talk to each other (`struct kvm_run`), mapped.
struct RunPage: ~Copyable {
    // SAFETY: mapped by `init` and unmapped by `deinit`. The vCPU's thread reads and writes it; other threads write
    // `immediate_exit` only, through atomic functions, and only while the vCPU lives.
    let pointer: UnsafeMutablePointer<kvm_run>
    let size: UInt

    /// Maps the page of a vCPU. `size` is what KVM_GET_VCPU_MMAP_SIZE said.
    init(vcpu: borrowing Descriptor, size: Int32) throws(EngineError) {
        guard Int(size) >= MemoryLayout<kvm_run>.size else {
            throw EngineError(
                "KVM_GET_VCPU_MMAP_SIZE: \(size) bytes, but struct kvm_run has \(MemoryLayout<kvm_run>.size)")
        }
        var page: UnsafeMutablePointer<kvm_run>?
        _ = try KVMCall.mapRun.check(ckvm_map_run(vcpu.number, UInt(size), &page))
        guard let page else { throw EngineError("the page shared with a vCPU was not mapped") }
        pointer = page
        self.size = UInt(size)
    }

    deinit { ckvm_unmap_run(pointer, size) }
}
