// The micro-TLB of generated code: copies of the TLB's entries. Whatever takes an entry out of the TLB, but for another one that needs
// its place, empties it.

import CPrimitives

extension CPU {
    // SAFETY: the array is part of the state, and is addressed as what it consists of.
    private var microTLB: UnsafeMutablePointer<tz_tlb_entry> {
        let offset = MemoryLayout<tz_cpu>.offset(of: \.translated.micro_tlb) ?? 0
        return (UnsafeMutableRawPointer(state) + offset).assumingMemoryBound(to: tz_tlb_entry.self)
    }

    /// Chooses what empty entries are: those of a page that no guest guesses, which is not canonical. Should one hit all the same,
    /// the host address is not canonical either.
    func chooseEmptyMicroTLBEntry() {
        let secret = UInt64.random(in: 0..<1 << 50) << 12
        state.pointee.translated.micro_empty = tz_tlb_entry(tag: 1 << 62 | secret, addend: 1 << 62)
    }

    /// Empties the micro-TLB.
    func clearMicroTLB() {
        microTLB.update(
            repeating: state.pointee.translated.micro_empty, count: TLB.contexts * 2 * Int(TZ_MICRO_SLOTS))
    }
}
