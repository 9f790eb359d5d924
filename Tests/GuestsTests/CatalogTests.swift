// The catalogue of guests: what the build embedded is well formed, and the comparison of a run tells right from wrong.

import Guests
import Testing

@Suite struct CatalogTests {
    @Test func everyGuestIsFoundByItsName() throws {
        #expect(EmbeddedGuest.all.map(\.name) == EmbeddedGuest.all.map(\.name).sorted())
        #expect(Set(EmbeddedGuest.all.map(\.name)).count == EmbeddedGuest.all.count)
        for guest in EmbeddedGuest.all {
            #expect(EmbeddedGuest.named(guest.name)?.id == guest.id)
        }
        #expect(EmbeddedGuest.named("no-such-guest") == nil)
        #expect(EmbeddedGuest.named("tour")?.expected.ending == .powerOff)
        #expect(EmbeddedGuest.named("exit-status")?.expected.ending == .exitPort(status: 42))
    }

    @Test func firmwareFillsItsROM() throws {
        let tour = EmbeddedGuest.tour
        #expect(tour.kind == .firmware)
        let image = tour.image
        try #require(image.count == 65536)
        // A far jump, 16-bit form, to segment 0xf000 stands at the reset vector.
        #expect(image[0xfff0] == 0xea)
        #expect(image[0xfff3...0xfff4] == [0x00, 0xf0])
    }

    @Test func flatImageIsWhatItsSourceSays() {
        #expect(EmbeddedGuest.halt.image == [0xfa, 0xf4, 0xeb, 0xfd])
        #expect(EmbeddedGuest.halt.kind == .flat(loadAddress: 0x7c00, entry: 0x7c00))
    }

    /// Multiboot Specification 0.6.96, 3.1: the checksum, and the fields of the address-override form.
    @Test func multibootHeadersAreSound() throws {
        for guest in EmbeddedGuest.all where guest.kind == .multiboot {
            let image = guest.image
            func field(_ index: Int) -> UInt32 {
                (0..<4).reduce(0) { $0 | UInt32(image[index * 4 + $1]) << (8 * $1) }
            }
            try #require(image.count >= 32)
            #expect(field(0) == 0x1bad_b002, "\(guest.name)")
            #expect(field(1) & 0x10000 != 0)
            #expect(field(0) &+ field(1) &+ field(2) == 0)
            let (header, load, loadEnd, bssEnd, entry) = (field(3), field(4), field(5), field(6), field(7))
            #expect(header == load)
            #expect(loadEnd - load == UInt32(image.count), "\(guest.name)")
            #expect(bssEnd >= loadEnd && UInt64(bssEnd) <= guest.requirements.memory)
            #expect((load..<loadEnd).contains(entry))
        }
    }

    @Test func aConsoleIsComparedLineByLine() throws {
        let tour = EmbeddedGuest.tour.expected
        let right = tour.lines.map { $0[0] + "\r\n" }.joined()
        #expect(tour.difference(from: right) == nil)
        #expect(tour.difference(from: right.replacing("\r\n", with: "\n")) == nil)
        #expect(tour.difference(from: tour.lines.map { $0[$0.count - 1] + "\n" }.joined()) == nil)
        #expect(tour.difference(from: right + "more\r\n") != nil)
        #expect(tour.difference(from: right + "cut short") != nil)
        #expect(tour.difference(from: String(right.dropLast(20))) != nil)
        #expect(tour.difference(from: right.replacing("4 levels", with: "5 levels"))?.contains("line 6") == true)
        #expect(tour.difference(from: "")?.contains("line 1 ") == true)
        #expect(EmbeddedGuest.exitStatus.expected.difference(from: "") == nil)
        #expect(EmbeddedGuest.exitStatus.expected.difference(from: "\r\n") != nil)
    }
}
