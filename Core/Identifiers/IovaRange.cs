// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Identifiers;

/// <summary>
/// A range of I/O virtual byte addresses, <b>both ends included</b>, so that the last byte of memory has a place and
/// "everything" is no special case.
/// </summary>
/// <param name="First">First byte.</param>
/// <param name="Last">Last byte; a range with <c>Last &lt; First</c> is empty.</param>
public readonly record struct IovaRange(ulong First, ulong Last)
{
    /// <summary>All 2^64 bytes.</summary>
    public static IovaRange All => new(0, ulong.MaxValue);

    public static IovaRange Empty => new(1, 0);
    public bool IsEmpty => Last < First;

    /// <summary>
    /// Reads the range [start, end) of an invalidation callback. The one place that knows its corners.
    /// </summary>
    /// <param name="start">First byte.</param>
    /// <param name="end">Byte after the range; 0 is the top of memory, so that 0, 0 is everything. Any other
    /// <c>start == end</c> is empty. An end below the start runs over the top: everything, as invalidating too much is
    /// harmless.</param>
    public static IovaRange FromStartEnd(ulong start, ulong end)
    {
        if (start == end && end != 0)
        {
            return Empty;
        }

        // An end of 0 wraps to the last byte of memory, as it should.
        ulong last = unchecked(end - 1);
        return last < start ? All : new IovaRange(start, last);
    }

    /// <summary>The range as <c>[first, last]</c> in hexadecimal.</summary>
    public override string ToString() => Text($"[0x{First:x}, 0x{Last:x}]");
}
