// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Records;

/// <summary>How the rules of layouts report.</summary>
public static class ViolationExtensions
{
    /// <summary>Reports a field.</summary>
    /// <param name="found">Where violations go.</param>
    /// <param name="field">The field.</param>
    /// <param name="message">What is wrong, with value and limit.</param>
    public static void Add(this ICollection<Violation> found, Field field, string message)
    {
        ArgumentNullException.ThrowIfNull(found);
        found.Add(new Violation(field.Mnemonic, message));
    }

    /// <inheritdoc cref="Add(ICollection{Violation}, Field, string)"/>
    public static void Add(this ICollection<Violation> found, Field field, InvariantText message) =>
        Add(found, field, Text(message));
}
