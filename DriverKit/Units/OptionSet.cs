// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Units;

/// <summary>The settings that a unit or hardware has.</summary>
/// <param name="owner">Whose they are, for refusals: <c>intel-vtd</c>, <c>intel-vtd hardware</c>.</param>
/// <param name="options">The settings, in the order in which a refusal lists them.</param>
public sealed class OptionSet(string owner, params Option[] options)
{
    /// <summary>Reads the settings of a unit, and checks its PASID width.</summary>
    /// <returns>The values; EINVAL for an unknown name, a value that is none, or a width that is not 1 to 20.</returns>
    public OpResult<OptionValues> Read(UnitSetup setup)
    {
        ArgumentNullException.ThrowIfNull(setup);
        (OptionValues values, string? refusal) = Read(setup.Options, setup.PasidBits, 1);
        return refusal is null
            ? OpResult<OptionValues>.Ok(values)
            : OpResult<OptionValues>.Refuse(Errno.EINVAL, $"{setup.Name}: {refusal}");
    }

    /// <summary>Reads the settings of hardware, and checks its PASID width.</summary>
    /// <exception cref="ArgumentException">An unknown name, a value that is none, or a width that is not 0 to 20.
    /// </exception>
    public OptionValues Read(HardwareSetup setup)
    {
        ArgumentNullException.ThrowIfNull(setup);
        (OptionValues values, string? refusal) = Read(setup.Options, setup.PasidBits, 0);
        return refusal is null ? values : throw new ArgumentException(refusal, nameof(setup));
    }

    // In the order of their names, so that of two mistakes always the same one is reported.
    private (OptionValues Values, string? Refusal) Read(
        IReadOnlyDictionary<string, string> texts, int pasidBits, int minBits)
    {
        if (pasidBits < minBits || pasidBits > Pasid.MaxBits)
        {
            return (new OptionValues([]), $"PasidBits is {pasidBits}, it must be {minBits} to {Pasid.MaxBits}");
        }

        var values = new Dictionary<Option, object?>();
        foreach ((string name, string text) in texts.OrderBy(t => t.Key, StringComparer.Ordinal))
        {
            if (Array.Find(options, o => o.Name == name) is not { } option)
            {
                string names = options.Length == 0 ? "none" : string.Join(", ", options.Select(o => o.Name));
                return (new OptionValues([]), $"{owner} has no option '{name}'; it has {names}");
            }

            if (!option.TryParse(text, out object? value))
            {
                return (new OptionValues([]), $"option {name} is '{text}', it must be {option.Expects}");
            }

            values[option] = value;
        }

        return (new OptionValues(values), null);
    }
}
