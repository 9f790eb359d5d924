// What rests on where code was found holds as long as the page tables say the same, and no longer.

import Testing
import X86

@Suite struct FoundPagesTests {
    private static let places: [UInt64: UInt64] = [
        0x40_0000: 0x1000, 0x40_1000: 0x8000, 0x7fff_ffff_f000: 0x1000, 0xffff_8000_0000_0000: 0x2000,
    ]

    private var found: FoundPages {
        var pages = FoundPages()
        for (linear, physical) in Self.places { pages.insert(linear + 0x123, physical: physical + 0xfff) }
        return pages
    }

    @Test func everyPageIsAskedFor() {
        let found = found
        #expect(found.stillLead { Self.places[$0] == $1 })
        for moved in Self.places.keys {
            #expect(!found.stillLead { $0 != moved && Self.places[$0] == $1 })
        }
    }

    @Test func onePageIsAskedForAlone() {
        let found = found
        for linear in Self.places.keys {
            #expect(found.contains(linear + 0xabc))
            #expect(found.stillLeads(linear + 0xabc) { $0 == linear && $1 == Self.places[linear] })
            #expect(!found.stillLeads(linear) { _, _ in false })
        }
        // Nothing was found there: it does not matter where it leads.
        #expect(!found.contains(0x40_2000))
        #expect(found.stillLeads(0x40_2000) { _, _ in false })
    }

    @Test func aPageFoundAtTwoPlacesIsTrustedNoMore() {
        var found = found
        found.insert(0x40_0000, physical: 0x3000)
        #expect(!found.stillLead { _, _ in true })
        #expect(!found.stillLeads(0x40_0000) { _, _ in true })
        found.removeAll()
        #expect(found.stillLead { _, _ in false })
        #expect(!found.contains(0x40_0000))
    }

    @Test func morePagesThanAreKeptAreTrustedNoMore() {
        var found = FoundPages()
        for number in 0..<UInt64(FoundPages.maximum) { found.insert(number << 12, physical: number << 12) }
        #expect(found.stillLead { $0 == $1 })
        found.insert(1 << 40, physical: 0)
        #expect(!found.stillLead { $0 == $1 || $0 == 1 << 40 })
        #expect(found.contains(1 << 40) && found.contains(1 << 41))
        #expect(!found.stillLeads(1 << 41) { _, _ in true })
    }
}
