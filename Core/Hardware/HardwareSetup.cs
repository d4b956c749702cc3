// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Hardware;

/// <summary>What a stand-in for hardware is to report of itself.</summary>
public sealed record HardwareSetup
{
    /// <summary>Widest PASID in bits, 0 (none) to 20.</summary>
    public int PasidBits { get; init; } = Pasid.MaxBits;

    /// <summary>Whether the table walker snoops the CPU's caches.</summary>
    public bool Coherent { get; init; } = true;

    /// <summary>
    /// Vendor-specific settings by name; an unknown name or value is an <see cref="ArgumentException"/> of
    /// the driver's <c>CreateHardware</c> that names what is allowed.
    /// </summary>
    public IReadOnlyDictionary<string, string> Options { get; init; } = new Dictionary<string, string>();
}
