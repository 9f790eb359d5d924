// swift-tools-version: 6.3
// A manifest for this part alone; the package's own names the same three targets.
import PackageDescription

let package = Package(
    name: "Guests",
    products: [.library(name: "Guests", targets: ["Guests"])],
    targets: [
        // The guests' sources live beside the Swift ones; only `Catalog` is Swift.
        .target(name: "Guests", path: "guests", sources: ["Catalog"], plugins: ["GuestBuilder"]),
        .plugin(name: "GuestBuilder", capability: .buildTool(), dependencies: ["guest-embedder"]),
        .executableTarget(name: "guest-embedder"),
        .testTarget(name: "GuestsTests", dependencies: ["Guests"]),
    ],
    swiftLanguageModes: [.v6]
)
