// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Records;

/// <summary>Says in words what a field's value amounts to, where a list of names does not.</summary>
/// <param name="words">The structure: some values mean something only together.</param>
/// <returns>The words; null where there is nothing to say.</returns>
public delegate string? FieldReading(ReadOnlySpan<ulong> words);

/// <summary>One field of a <see cref="Layout"/>: its bits, kind and meaning.</summary>
public sealed class LayoutField
{
    private LayoutField(IReadOnlyList<Field> parts, FieldKind kind, string meaning, ulong constant)
    {
        Parts = parts;
        Kind = kind;
        Meaning = meaning;
        Constant = constant;
    }

    /// <summary>The bits, the part with the value's low bits first; one part unless hardware splits the
    /// value.</summary>
    public IReadOnlyList<Field> Parts { get; }

    /// <summary>What the bits are.</summary>
    public FieldKind Kind { get; }

    /// <summary>What the field says, in words, with the specification's section where it differs from the
    /// layout's.</summary>
    public string Meaning { get; }

    /// <summary>The fixed value of a <see cref="FieldKind.Constant"/>.</summary>
    public ulong Constant { get; }

    /// <summary>Names of single values, such as PGTT 1 = first-stage; may be empty.</summary>
    public IReadOnlyDictionary<ulong, string> Values { get; private init; } = new Dictionary<ulong, string>();

    /// <summary>The specification's name.</summary>
    public string Mnemonic => Parts[0].Mnemonic;

    private FieldReading? Reading { get; init; }

    /// <summary>Width of the whole value in bits.</summary>
    public int Width
    {
        get
        {
            int width = 0;
            foreach (Field part in Parts)
            {
                width += part.Width;
            }

            return width;
        }
    }

    /// <summary>Whether the field is named to the user: neither reserved nor ignored nor implied.</summary>
    public bool IsNamed => Kind is FieldKind.Value or FieldKind.Address;

    /// <summary>The largest value: for an address the largest byte address.</summary>
    public ulong Maximum => Kind == FieldKind.Address ? Parts[0].WordMask : ulong.MaxValue >> (64 - Width);

    /// <summary>A number.</summary>
    /// <param name="field">Bits and mnemonic.</param>
    /// <param name="meaning">What it says.</param>
    /// <param name="values">Names of single values.</param>
    public static LayoutField Value(Field field, string meaning, params (ulong Value, string Name)[] values) =>
        new([field], FieldKind.Value, meaning, 0) { Values = values.ToDictionary(v => v.Value, v => v.Name) };

    /// <summary>A number with the meaning that its field says.</summary>
    /// <param name="field">Bits, mnemonic and meaning.</param>
    /// <param name="values">Names of single values.</param>
    public static LayoutField Value(Field field, params (ulong Value, string Name)[] values) =>
        Value(field, field.Meaning, values);

    /// <summary>The same as <see cref="Value(Field, ValueTuple{ulong, string}[])"/>: a row of a layout may be the field
    /// alone.</summary>
    public static implicit operator LayoutField(Field field) => Value(field);

    /// <summary>A number whose bits lie in several places, the low bits first.</summary>
    public static LayoutField Split(string meaning, params Field[] parts) => new(parts, FieldKind.Value, meaning, 0);

    /// <summary>A byte address whose low bits are not stored.</summary>
    /// <param name="field">Bits and mnemonic.</param>
    /// <param name="meaning">What it says; null: what the field says.</param>
    public static LayoutField Address(Field field, string? meaning = null) =>
        new([field], FieldKind.Address, meaning ?? field.Meaning, 0);

    /// <summary>The same field with a reading of its values.</summary>
    /// <param name="reading">Says what a value amounts to, such as a size from its logarithm.</param>
    public LayoutField Reads(Func<ulong, string?> reading)
    {
        ArgumentNullException.ThrowIfNull(reading);
        return ReadsWith(words => reading(Get(words)));
    }

    /// <summary>The same field with a reading of its values together with other fields.</summary>
    /// <param name="reading">Says what the value amounts to in its structure.</param>
    public LayoutField ReadsWith(FieldReading reading) =>
        new(Parts, Kind, Meaning, Constant) { Values = Values, Reading = reading };

    /// <summary>What the field's value means: its name, or what it amounts to.</summary>
    /// <param name="words">The structure.</param>
    /// <returns>The words; null where the field's meaning says all.</returns>
    public string? Explain(ReadOnlySpan<ulong> words)
    {
        if (Reading?.Invoke(words) is { } read)
        {
            return read;
        }

        return Values.TryGetValue(Get(words), out string? name) ? name
            : Values.Count > 0 && Get(words) != 0 ? "no name for this value"
            : null;
    }

    /// <summary>Bits that must be 0.</summary>
    public static LayoutField Reserved(int msb, int lsb, string meaning = "reserved, must be 0") =>
        new(Words(msb, lsb, "RSVD"), FieldKind.Reserved, meaning, 0);

    /// <summary>Bits that the hardware ignores.</summary>
    public static LayoutField Ignored(int msb, int lsb, string meaning = "ignored") =>
        new(Words(msb, lsb, "IGN"), FieldKind.Ignored, meaning, 0);

    /// <summary>A fixed value that is implied by the structure's id.</summary>
    public static LayoutField Fixed(Field field, ulong value, string? meaning = null) =>
        new([field], FieldKind.Constant, meaning ?? field.Meaning, value);

    /// <summary>Reads the value: of an address its byte address.</summary>
    public ulong Get(ReadOnlySpan<ulong> words)
    {
        if (Kind == FieldKind.Address)
        {
            return words.GetAddress(Parts[0]);
        }

        ulong value = 0;
        int shift = 0;
        foreach (Field part in Parts)
        {
            if (shift < 64)
            {
                value |= words.Get(part) << shift;
            }

            shift += part.Width;
        }

        return value;
    }

    /// <summary>Writes a value that fits (see <see cref="Fits"/>).</summary>
    public void Set(Span<ulong> words, ulong value)
    {
        if (Kind == FieldKind.Address)
        {
            words.SetAddress(Parts[0], value);
            return;
        }

        foreach (Field part in Parts)
        {
            words.Set(part, value & part.ValueMask);
            value = part.Width == 64 ? 0 : value >> part.Width;
        }
    }

    /// <summary>Whether a value can be stored: wide enough and, for an address, aligned.</summary>
    public bool Fits(ulong value) => Kind == FieldKind.Address
        ? (value & ~Parts[0].WordMask) == 0
        : (value & ~(ulong.MaxValue >> (64 - Math.Min(64, Width)))) == 0;

    // Reserved ranges are declared as the specification prints them and may span words.
    private static Field[] Words(int msb, int lsb, string mnemonic)
    {
        var parts = new List<Field>();
        for (int at = lsb; at <= msb;)
        {
            int end = Math.Min(msb, at | 63);
            parts.Add(new Field(end, at, mnemonic));
            at = end + 1;
        }

        return [.. parts];
    }
}
