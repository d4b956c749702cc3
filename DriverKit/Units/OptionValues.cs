// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Units;

/// <summary>The values of the settings of one <see cref="OptionSet"/>.</summary>
public sealed class OptionValues
{
    private readonly Dictionary<Option, object?> _values;
    internal OptionValues(Dictionary<Option, object?> values) => _values = values;

    /// <summary>The value that was set, or the standard one.</summary>
    public T Get<T>(Option<T> option) => _values.TryGetValue(option, out object? value) ? (T)value! : option.Standard;

    public bool IsSet(Option option) => _values.ContainsKey(option);
}
