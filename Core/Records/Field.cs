// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Records;

/// <summary>
/// A bit field of a hardware structure, declared as specifications print it: most and least significant bit, counted
/// over the whole structure (bit 64 is bit 0 of the second 64-bit word).
/// </summary>
/// <remarks>
/// Declare fields as <c>public static Field P =&gt; new(0, 0, "P", "present");</c>: the getter is inlined and the
/// bounds become constants, so <see cref="FieldAccess.Set(Span{ulong}, Field, ulong)"/> costs what a hand-written shift
/// costs. A field lies within one 64-bit word; hardware that splits a value has two fields (see
/// <see cref="LayoutField.Split"/>).
/// </remarks>
/// <param name="msb">Most significant bit, counted from bit 0 of the structure.</param>
/// <param name="lsb">Least significant bit.</param>
/// <param name="mnemonic">The specification's name, verbatim.</param>
/// <param name="meaning">What it says, in words.</param>
[method: MethodImpl(MethodImplOptions.AggressiveInlining)]
public readonly struct Field(int msb, int lsb, string mnemonic, string meaning)
{
    /// <summary>Declares a field whose meaning its layouts say.</summary>
    /// <param name="msb">Most significant bit, counted from bit 0 of the structure.</param>
    /// <param name="lsb">Least significant bit.</param>
    /// <param name="mnemonic">The specification's name, verbatim.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Field(int msb, int lsb, string mnemonic) : this(msb, lsb, mnemonic, "")
    {
    }

    /// <summary>Most significant bit of the structure that belongs to the field.</summary>
    public int Msb { get; } = msb;

    /// <summary>Least significant bit of the structure that belongs to the field.</summary>
    public int Lsb { get; } = lsb;

    /// <summary>The specification's name.</summary>
    public string Mnemonic { get; } = mnemonic;

    /// <summary>What it says, in words; empty where its layouts say it.</summary>
    public string Meaning { get; } = meaning;

    /// <summary>Width in bits, 1 to 64.</summary>
    public int Width => Msb - Lsb + 1;

    /// <summary>Index of the 64-bit word.</summary>
    public int Word => Lsb >> 6;

    /// <summary>Position of the least significant bit in its word.</summary>
    public int Shift => Lsb & 63;

    /// <summary>The field's bits, shifted to bit 0.</summary>
    public ulong ValueMask => ulong.MaxValue >> (64 - (Msb - Lsb + 1));

    /// <summary>The field's bits in place in its word.</summary>
    public ulong WordMask => ValueMask << Shift;

    /// <summary>The name and bits, such as <c>SSPTPTR[63:12]</c>.</summary>
    public override string ToString() => Msb == Lsb ? $"{Mnemonic}[{Lsb}]" : $"{Mnemonic}[{Msb}:{Lsb}]";
}
