// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Identifiers;

/// <summary>
/// A range of PASIDs, <b>both ends included</b>: the 2017 series declares <c>min_pasid</c> and <c>max_pasid</c> so, and
/// its exclusive end in one place was the source of off-by-one errors.
/// </summary>
/// <param name="First">The smallest PASID of the range.</param>
/// <param name="Last">The largest PASID of the range; a range with <c>Last &lt; First</c> is empty.</param>
public readonly record struct PasidRange(uint First, uint Last)
{
    /// <summary>Every 20-bit PASID, 0 included.</summary>
    public static PasidRange Full => new(0, Pasid.MaxValue);

    public static PasidRange Empty => new(1, 0);

    /// <summary>Whether the range holds no PASID.</summary>
    public bool IsEmpty => Last < First;

    /// <summary>How many PASIDs the range holds.</summary>
    public long Count => IsEmpty ? 0 : (long)Last - First + 1;

    /// <summary>The PASIDs 0 to 2^<paramref name="bits"/> - 1.</summary>
    /// <param name="bits">PASID width in bits, 1 to 20.</param>
    /// <exception cref="ArgumentOutOfRangeException">The width is not 1 to 20.</exception>
    public static PasidRange OfWidth(int bits)
    {
        if (bits is < 1 or > Pasid.MaxBits)
        {
            throw new ArgumentOutOfRangeException(nameof(bits), bits, "A PASID width is 1 to 20 bits.");
        }

        return new PasidRange(0, (uint)((1L << bits) - 1));
    }

    /// <summary>Whether a PASID lies in the range.</summary>
    public bool Contains(uint value) => value >= First && value <= Last;

    /// <summary>The PASIDs that lie in both ranges.</summary>
    public PasidRange Intersect(PasidRange other) =>
        new(Math.Max(First, other.First), Math.Min(Last, other.Last));

    /// <summary>The range as <c>[first, last]</c> in hexadecimal.</summary>
    public override string ToString() => Text($"[0x{First:x}, 0x{Last:x}]");
}
