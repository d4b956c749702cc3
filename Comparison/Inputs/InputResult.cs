// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.Comparison.Inputs;

/// <summary>What was read from a file, or what is wrong with it; never a part of it.</summary>
/// <typeparam name="T">What is read.</typeparam>
public sealed class InputResult<T>
    where T : class
{
    private InputResult(T? value, InputError? error)
    {
        Value = value;
        Error = error;
    }

    /// <summary>What was read; null where there is an error.</summary>
    public T? Value { get; }

    /// <summary>What is wrong; null where there is a value.</summary>
    public InputError? Error { get; }

    /// <summary>Whether the file was read.</summary>
    [MemberNotNullWhen(true, nameof(Value))]
    [MemberNotNullWhen(false, nameof(Error))]
    public bool IsOk => Error is null;
    internal static InputResult<T> Ok(T value) => new(value, null);
    internal static InputResult<T> Refuse(InputError error) => new(null, error);
}
