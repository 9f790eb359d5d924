// What KVM itself counts, by KVM_GET_STATS_FD (api.rst, section 4.133): a file of named numbers that describes itself.

import CKVM
import VirtualCPU

/// The statistics file of a vCPU.
struct Statistics: ~Copyable {
    private let descriptor: Descriptor
    /// Where in the file a number lies, by KVM's name for it.
    private let places: [String: UInt]

    /// Opens the file and reads its directory.
    init(of vcpu: borrowing Descriptor) throws(EngineError) {
        let number = vcpu.number
        let descriptor = try Descriptor(retrying { ckvm_get_stats_fd(number) }, from: "KVM_GET_STATS_FD")
        let file = descriptor.number
        var header = kvm_stats_header()
        let read: KVMCall = "reading KVM's statistics"
        let size = try read.check(ckvm_read(file, &header, UInt(MemoryLayout<kvm_stats_header>.size), 0))
        let entry = MemoryLayout<kvm_stats_desc>.size + Int(header.name_size)
        guard Int(size) == MemoryLayout<kvm_stats_header>.size, header.num_desc < 4096, header.name_size < 256 else {
            throw EngineError("KVM's statistics have no header that is known")
        }
        var directory = [UInt8](repeating: 0, count: entry * Int(header.num_desc))
        let length = try read.check(ckvm_read(file, &directory, UInt(directory.count), UInt(header.desc_offset)))
        guard Int(length) == directory.count else { throw EngineError("KVM's statistics are cut short") }
        var places: [String: UInt] = [:]
        directory.withUnsafeBytes { bytes in
            for index in 0..<Int(header.num_desc) {
                let start = index * entry
                let description = bytes.loadUnaligned(fromByteOffset: start, as: kvm_stats_desc.self)
                let name = bytes[(start + MemoryLayout<kvm_stats_desc>.size)..<(start + entry)].prefix { $0 != 0 }
                places[String(decoding: name, as: UTF8.self)] = UInt(header.data_offset) + UInt(description.offset)
            }
        }
        self.places = places
        self.descriptor = descriptor
    }

    /// A number by KVM's name for it; nil if this KVM does not count it.
    func value(_ name: String) -> UInt64? {
        guard let place = places[name] else { return nil }
        var value: UInt64 = 0
        return ckvm_read(descriptor.number, &value, 8, place) == 8 ? value : nil
    }

    /// Puts into the counters of the one schema what KVM knows about them.
    func add(to counters: inout Counters) {
        counters.exits = value("exits")
        counters.halts = value("halt_exits")
        counters.interruptWindows = value("irq_window_exits")
        counters.hypercalls = value("hypercalls")
        counters.emulatedInstructions = value("insn_emulation")
        if let interrupts = value("irq_injections"), let nmis = value("nmi_injections") {
            counters.interrupts = interrupts &+ nmis
        }
    }
}
