// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Globalization;

namespace PasidFramework.Records;

/// <summary>Checks combinations of fields; adds what it finds.</summary>
/// <param name="words">The structure.</param>
/// <param name="found">Where violations go.</param>
public delegate void LayoutRule(ReadOnlySpan<ulong> words, ICollection<Violation> found);

/// <summary>
/// One structure that hardware shares with software: every bit declared once. The constructor proves that the fields
/// tile the structure exactly; encoder, decoder and explanations come from the same declaration.
/// </summary>
public sealed class Layout
{
    private readonly Dictionary<string, LayoutField> _byName = new(StringComparer.Ordinal);
    private readonly LayoutRule[] _rules;

    // The check for what is wrong is done for every entry of a table: what does not change is worked out once.
    private readonly (Field Part, string Name, LayoutField? Constant)[] _checked;
    private readonly string _mustBeZero;

    /// <summary>Declares a structure.</summary>
    /// <param name="id">Identifier for users, such as <c>intel-vtd/pasid_entry</c>.</param>
    /// <param name="bits">Size in bits, a multiple of 8.</param>
    /// <param name="source">Specification, revision and section.</param>
    /// <param name="fields">Every field, reserved ranges included.</param>
    /// <param name="rules">Checks of combinations.</param>
    /// <exception cref="ArgumentException">Bits are declared twice or not at all, or a name twice.</exception>
    public Layout(string id, int bits, string source, LayoutField[] fields, params LayoutRule[] rules)
    {
        ArgumentNullException.ThrowIfNull(fields);
        Id = id;
        Bits = bits;
        Source = source;
        Fields = [.. fields.OrderBy(f => f.Parts[0].Lsb)];
        _rules = rules;
        _checked =
        [
            .. Fields.Where(f => f.Kind is FieldKind.Reserved or FieldKind.Constant).SelectMany(f => f.Parts.Select(p =>
                f.Kind == FieldKind.Constant ? (p, f.Mnemonic, f) : (p, p.ToString(), (LayoutField?)null))),
        ];
        _mustBeZero = $", must be 0 ({source})";

        var owner = new string?[bits];
        foreach (LayoutField field in fields)
        {
            foreach (Field part in field.Parts)
            {
                if (part.Lsb < 0 || part.Msb < part.Lsb || part.Msb >= bits || part.Lsb >> 6 != part.Msb >> 6)
                {
                    throw new ArgumentException(
                        $"{id}: {part} is not within one 64-bit word of the {bits} bits.", nameof(fields));
                }

                for (int bit = part.Lsb; bit <= part.Msb; bit++)
                {
                    if (owner[bit] is { } other)
                    {
                        throw new ArgumentException($"{id}: bit {bit} is in {other} and {part}.", nameof(fields));
                    }

                    owner[bit] = part.ToString();
                }
            }

            if ((field.IsNamed || field.Kind == FieldKind.Constant) && !_byName.TryAdd(field.Mnemonic, field))
            {
                throw new ArgumentException($"{id}: {field.Mnemonic} is declared twice.", nameof(fields));
            }
        }

        int hole = Array.IndexOf(owner, null);
        if (hole >= 0)
        {
            throw new ArgumentException($"{id}: bit {hole} is not declared.", nameof(fields));
        }
    }

    /// <summary>Identifier for users.</summary>
    public string Id { get; }

    /// <summary>Size in bits.</summary>
    public int Bits { get; }

    /// <summary>Size in bytes.</summary>
    public int Bytes => (Bits + 7) / 8;

    /// <summary>64-bit words that hold it.</summary>
    public int Words => (Bits + 63) / 64;

    /// <summary>Specification, revision and section.</summary>
    public string Source { get; }

    /// <summary>All fields, by ascending least significant bit.</summary>
    public IReadOnlyList<LayoutField> Fields { get; }

    /// <summary>Finds a named field.</summary>
    public LayoutField? Find(string mnemonic) =>
        _byName.TryGetValue(mnemonic, out LayoutField? field) && field.IsNamed ? field : null;

    /// <summary>Finds a named field without making a string.</summary>
    public LayoutField? Find(ReadOnlySpan<char> mnemonic) =>
        _byName.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(mnemonic, out LayoutField? field) && field.IsNamed
            ? field
            : null;

    /// <summary>Clears a structure and writes what its id implies.</summary>
    public void Initialize(Span<ulong> words)
    {
        words[..Words].Clear();
        foreach (LayoutField field in Fields)
        {
            if (field.Kind == FieldKind.Constant)
            {
                field.Set(words, field.Constant);
            }
        }
    }

    /// <summary>Sets one named field; refuses what does not fit, with a line that says the limit.</summary>
    /// <returns>Success, or EINVAL.</returns>
    public OpResult TrySet(Span<ulong> words, string mnemonic, ulong value)
    {
        ArgumentNullException.ThrowIfNull(mnemonic);
        return Find(mnemonic) is { } field
            ? TrySet(words, field, value)
            : OpResult.Refuse(Errno.EINVAL, $"{Id} has no field '{mnemonic}'");
    }

    /// <summary>Sets a field of this structure; refuses what does not fit, with a line that says the limit.</summary>
    /// <returns>Success, or EINVAL.</returns>
    public OpResult TrySet(Span<ulong> words, LayoutField field, ulong value)
    {
        ArgumentNullException.ThrowIfNull(field);
        if (!field.Fits(value))
        {
            string limit = field.Kind == FieldKind.Address
                ? Text($"a byte address, multiple of 0x{1UL << field.Parts[0].Shift:x}, at most 0x{field.Maximum:x}")
                : Text($"{field.Width} bit{(field.Width == 1 ? "" : "s")}, at most 0x{field.Maximum:x}");
            return OpResult.Refuse(Errno.EINVAL, $"{Id}: {field.Mnemonic} = 0x{value:x} does not fit ({limit})");
        }

        field.Set(words, value);
        return OpResult.Ok;
    }

    /// <summary>Everything in a structure that its specification forbids.</summary>
    public IReadOnlyList<Violation> Check(ReadOnlySpan<ulong> words)
    {
        var found = new List<Violation>();
        foreach ((Field part, string name, LayoutField? constant) in _checked)
        {
            ulong value = words.Get(part);
            if (constant is null)
            {
                if (value != 0)
                {
                    found.Add(new Violation(name, string.Concat(
                        "reserved bits are 0x", value.ToString("x", CultureInfo.InvariantCulture), _mustBeZero)));
                }
            }
            else if (value != constant.Constant)
            {
                found.Add(new Violation(name, Text($"is 0x{value:x}, must be 0x{constant.Constant:x} for {Id}")));
            }
        }

        foreach (LayoutRule rule in _rules)
        {
            rule(words, found);
        }

        return found;
    }

    /// <summary>The structure's bytes as they lie in memory.</summary>
    public byte[] ToBytes(ReadOnlySpan<ulong> words)
    {
        var bytes = new byte[Bytes];
        WriteBytes(words, bytes);
        return bytes;
    }

    /// <summary>Writes the structure's bytes as they lie in memory.</summary>
    /// <param name="words">The structure.</param>
    /// <param name="destination">At least <see cref="Bytes"/> long.</param>
    public void WriteBytes(ReadOnlySpan<ulong> words, Span<byte> destination)
    {
        Span<byte> last = stackalloc byte[8];
        for (int at = 0; at < Bytes; at += 8)
        {
            if (Bytes - at >= 8)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(destination[at..], words[at / 8]);
            }
            else
            {
                BinaryPrimitives.WriteUInt64LittleEndian(last, words[at / 8]);
                last[..(Bytes - at)].CopyTo(destination[at..]);
            }
        }
    }

    /// <summary>The words of a structure from its bytes in memory.</summary>
    /// <exception cref="ArgumentException">The length is not <see cref="Bytes"/>.</exception>
    public ulong[] FromBytes(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Bytes)
        {
            throw new ArgumentException($"{Id} has {Bytes} bytes, got {bytes.Length}.", nameof(bytes));
        }

        Span<byte> padded = stackalloc byte[Words * 8];
        padded.Clear();
        bytes.CopyTo(padded);
        var words = new ulong[Words];
        for (int i = 0; i < Words; i++)
        {
            words[i] = BinaryPrimitives.ReadUInt64LittleEndian(padded[(i * 8)..]);
        }

        return words;
    }

    /// <summary>Identifier and size.</summary>
    public override string ToString() => $"{Id} ({Bits} bits)";
}
