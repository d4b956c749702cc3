// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace PasidFramework.DriverKit.Units;

/// <summary>One setting of a unit or of hardware; its declaration gives parsing, range and the text of a
/// refusal.</summary>
/// <remarks>Names are lower case with dashes and say the unit: <c>event-queue-log2</c>, <c>input-bits</c>,
/// <c>timeout-ms</c>.</remarks>
public abstract class Option
{
    private protected Option(string name, string expects)
    {
        Name = name;
        Expects = expects;
    }

    /// <summary>The name that users type.</summary>
    public string Name { get; }

    /// <summary>What a value must be, after "it must be": <c>a number from 1 to 19</c>.</summary>
    public string Expects { get; }

    /// <summary>A whole number, decimal, without a sign.</summary>
    public static Option<int> Number(string name, int min, int max, int standard) => new(
        name,
        $"a number from {min} to {max}",
        standard,
        (string text, out int value) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value >= min
                && value <= max);

    /// <summary>A switch: 1, true or on; 0, false or off.</summary>
    public static Option<bool> Flag(string name, bool standard) => new(
        name,
        "0 or 1",
        standard,
        (string text, out bool value) =>
        {
            value = text is "1" or "true" or "on";
            return value || text is "0" or "false" or "off";
        });

    /// <summary>One of several words.</summary>
    public static Option<string> Choice(string name, string standard, params string[] words) => new(
        name,
        $"one of {string.Join(", ", words)}",
        standard,
        (string text, out string? value) =>
        {
            value = text;
            return Array.IndexOf(words, text) >= 0;
        });

    internal abstract bool TryParse(string text, out object? value);
}

/// <summary>A setting with a value of a type.</summary>
/// <typeparam name="T">The value's type.</typeparam>
public sealed class Option<T> : Option
{
    private readonly Parser _parser;

    /// <summary>Declares a setting with a form of its own.</summary>
    /// <param name="name">The name that users type.</param>
    /// <param name="expects">What a value must be, after "it must be".</param>
    /// <param name="standard">The value where it is not set.</param>
    /// <param name="parser">Reads a value.</param>
    public Option(string name, string expects, T standard, Parser parser)
        : base(name, expects)
    {
        Standard = standard;
        _parser = parser;
    }

    /// <summary>Reads a value; false where the text is none.</summary>
    public delegate bool Parser(string text, out T? value);

    /// <summary>The value where it is not set.</summary>
    public T Standard { get; }

    internal override bool TryParse(string text, out object? value)
    {
        bool isOne = _parser(text, out T? parsed);
        value = parsed;
        return isOne;
    }
}
