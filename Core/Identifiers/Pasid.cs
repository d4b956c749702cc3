// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Identifiers;

/// <summary>
/// A process address space identifier as it travels in a PCIe transaction: 20 bits, 0 to <see cref="MaxValue"/>.
/// </summary>
/// <remarks>
/// Source: PCIe PASID extended capability (Max PASID Width is at most 20). Wider PASIDs do not exist on any of the
/// supported tables, so the type refuses them instead of every user of it.
/// </remarks>
public readonly record struct Pasid : IComparable<Pasid>
{
    /// <summary>Number of bits of the widest PASID.</summary>
    public const int MaxBits = 20;

    /// <summary>The largest PASID, 0xFFFFF.</summary>
    public const uint MaxValue = (1u << MaxBits) - 1;

    /// <summary>Makes a PASID of its value.</summary>
    /// <param name="value">The value, 0 to <see cref="MaxValue"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The PASID needs more than 20 bits.</exception>
    public Pasid(uint value)
    {
        if (value > MaxValue)
        {
            throw new ArgumentOutOfRangeException(
                nameof(value), value, "A PASID has at most 20 bits (0 to 0xFFFFF; PCIe PASID capability).");
        }

        Value = value;
    }

    /// <summary>The PASID.</summary>
    public uint Value { get; }

    public int CompareTo(Pasid other) => Value.CompareTo(other.Value);

    /// <summary>Whether one PASID is below the other.</summary>
    public static bool operator <(Pasid left, Pasid right) => left.Value < right.Value;

    /// <summary>Whether one PASID is above the other.</summary>
    public static bool operator >(Pasid left, Pasid right) => left.Value > right.Value;

    /// <summary>Whether one PASID is at most the other.</summary>
    public static bool operator <=(Pasid left, Pasid right) => left.Value <= right.Value;

    /// <summary>Whether one PASID is at least the other.</summary>
    public static bool operator >=(Pasid left, Pasid right) => left.Value >= right.Value;

    /// <summary>The PASID in hexadecimal, as tables and fault records are read.</summary>
    public override string ToString() => Text($"0x{Value:x}");
}
