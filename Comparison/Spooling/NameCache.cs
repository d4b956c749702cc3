// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Spooling;

/// <summary>One string for each name that comes again and again; forgets all when there are too many.</summary>
internal sealed class NameCache
{
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _byText;

    public NameCache() => _byText = _names.GetAlternateLookup<ReadOnlySpan<char>>();

    public string Get(ReadOnlySpan<char> text)
    {
        if (_byText.TryGetValue(text, out string? known))
        {
            return known;
        }

        if (_names.Count == NameSpool.MaxHeld)
        {
            _names.Clear();
        }

        string name = text.ToString();
        _names.Add(name);
        return name;
    }
}
