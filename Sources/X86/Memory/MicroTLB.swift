// The micro-TLB of generated code: copies of the TLB's entries. Whatever takes an entry out of the TLB empties it if it may have the
// page, but for an entry of another page that needs the place.

import CPrimitives

extension CPU {
    /// Chooses what empty entries are: those of a page that no guest guesses, which is not canonical. Should one hit all the same,
    /// the host address is not canonical either.
    func initialiseMicroTLB() {
        let secret = UInt64.random(in: 0..<1 << 50) << 12
        let empty = tz_tlb_entry(tag: 1 << 62 | secret, addend: 1 << 62)
        withUnsafeMutableBytes(of: &state.pointee.translated.micro_empty) { bytes in
            _ = bytes.initializeMemory(as: tz_tlb_entry.self, repeating: empty)
        }
        state.pointee.translated.micro_pages = .max
        clearMicroTLB()
    }

    /// Empties the micro-TLB.
    func clearMicroTLB() {
        guard state.pointee.translated.micro_pages != 0 else { return }
        state.pointee.translated.micro_pages = 0
        // One context's entries for each context.
        let empty = state.pointee.translated.micro_empty
        state.pointee.translated.micro_tlb = (empty, empty, empty)
    }

    /// Empties the micro-TLB if it may have the page that holds a linear address.
    @inline(__always) func clearMicroTLB(page linear: UInt64) {
        if state.pointee.translated.micro_pages >> (linear >> 12 & 63) & 1 != 0 { clearMicroTLB() }
    }
}
