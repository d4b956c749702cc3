// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Tables;

/// <summary>The values that a table reader starts from.</summary>
public static class TableRoots
{
    /// <summary>Holds the values to what a reader takes.</summary>
    /// <param name="values">Values by name.</param>
    /// <returns>Success; EINVAL for a name that the reader does not know, or one that it requires and that is
    /// missing.</returns>
    public static OpResult Check(ITableReader reader, IReadOnlyDictionary<string, ulong> values)
    {
        ArgumentNullException.ThrowIfNull(reader);
        ArgumentNullException.ThrowIfNull(values);
        foreach (string name in values.Keys)
        {
            if (!reader.Registers.Any(known => known.Name == name))
            {
                return OpResult.Refuse(
                    Errno.EINVAL,
                    $"{reader.Name} tables do not begin at '{name}'; they take "
                        + string.Join(", ", reader.Registers.Select(known => known.Name)));
            }
        }

        return Require(reader, values,
            [.. reader.Registers.Where(known => known.IsRequired).Select(known => known.Name)]);
    }

    /// <summary>Holds the values to names of which a reader needs every one.</summary>
    /// <param name="values">Values by name.</param>
    /// <param name="names">Names of registers of the reader.</param>
    /// <returns>Success; EINVAL for one that is missing.</returns>
    public static OpResult Require(
        ITableReader reader, IReadOnlyDictionary<string, ulong> values, params ReadOnlySpan<string> names)
    {
        ArgumentNullException.ThrowIfNull(reader);
        ArgumentNullException.ThrowIfNull(values);
        foreach (string name in names)
        {
            if (!values.ContainsKey(name))
            {
                string? meaning = reader.Registers.FirstOrDefault(known => known.Name == name)?.Meaning;
                return OpResult.Refuse(Errno.EINVAL, $"{reader.Name} tables need {name}, {name} is missing: {meaning}");
            }
        }

        return OpResult.Ok;
    }
}
