// `trapeze guests`: what there is to run without a file of one's own.

import ArgumentParser
import Foundation
import Guests

/// Lists the embedded guests.
struct GuestsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guests", abstract: "Lists the guests that `trapeze run` knows by name.")

    func run() {
        let guests =
            EmbeddedGuest.all.map { ($0.name, $0.summary) }.sorted { $0.0 < $1.0 }
            + [(debianName, "Debian's own kernel with busybox, fetched by apt: a shell, or a command after `--`.")]
        let width = guests.map(\.0.count).max() ?? 0
        for (name, summary) in guests {
            print(name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + summary)
        }
    }
}

/// The name of the guest that is not embedded.
let debianName = "debian"
