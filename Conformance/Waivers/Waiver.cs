// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Waivers;

/// <summary>A known failure that its owner has accepted for a while: an entry of the waiver file.</summary>
/// <param name="Hardware">Name of the back end, or the first part of it (<c>qemu</c> for all of QEMU's); null for
/// all.</param>
/// <param name="Reason">Why it is accepted.</param>
/// <param name="Issue">Where it is tracked.</param>
/// <param name="Expires">Last day on which it holds.</param>
public sealed record Waiver(string Id, string? Hardware, string Reason, string Issue, DateOnly Expires)
{
    public bool Covers(string id, string hardware)
    {
        ArgumentNullException.ThrowIfNull(hardware);
        return Id == id && (Hardware is null || hardware == Hardware
            || (hardware.StartsWith(Hardware, StringComparison.Ordinal) && hardware[Hardware.Length] == '-'));
    }
}
