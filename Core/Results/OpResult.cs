// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.Results;

/// <summary>
/// The result of an operation that may be refused: success, or an error number with one line that says what, which
/// value and which limit. Refusals are expected and are returned; only misuse throws.
/// </summary>
public readonly record struct OpResult
{
    private OpResult(Errno errno, string? reason)
    {
        Errno = errno;
        Reason = reason;
    }

    /// <summary>Success.</summary>
    public static OpResult Ok => default;

    /// <summary>The kernel's error number, <see cref="Errno.None"/> for success.</summary>
    public Errno Errno { get; }

    /// <summary>Why, for a person; null for success.</summary>
    public string? Reason { get; }

    /// <summary>Whether the operation was carried out.</summary>
    public bool IsOk => Errno == Errno.None;

    /// <summary>A refusal.</summary>
    /// <param name="errno">The kernel's error number; not <see cref="Errno.None"/>.</param>
    /// <param name="reason">What, which value, which limit.</param>
    /// <exception cref="ArgumentException"><paramref name="errno"/> is None.</exception>
    public static OpResult Refuse(Errno errno, string reason) => errno == Errno.None
        ? throw new ArgumentException("A refusal needs an error number.", nameof(errno))
        : new OpResult(errno, reason);

    /// <inheritdoc cref="Refuse(Errno, string)"/>
    public static OpResult Refuse(Errno errno, InvariantText reason) => Refuse(errno, InvariantText.Text(reason));

    /// <summary>The error's name and reason, or <c>ok</c>.</summary>
    public override string ToString() => IsOk ? "ok" : $"{Errno}: {Reason}";
}

/// <summary>The result of an operation that yields a value or is refused.</summary>
/// <typeparam name="T">The value's type.</typeparam>
public readonly record struct OpResult<T>
{
    private OpResult(T? value, OpResult outcome)
    {
        Value = value;
        Outcome = outcome;
    }

    /// <summary>The value; the type's default where the operation was refused.</summary>
    public T? Value { get; }

    /// <summary>Success or refusal.</summary>
    public OpResult Outcome { get; }

    /// <summary>The kernel's error number, <see cref="Errno.None"/> for success.</summary>
    public Errno Errno => Outcome.Errno;

    /// <summary>Why it was refused; null for success.</summary>
    public string? Reason => Outcome.Reason;

    /// <summary>Whether there is a value.</summary>
    [MemberNotNullWhen(true, nameof(Value))]
    public bool IsOk => Outcome.IsOk;

    /// <summary>Success with a value.</summary>
    [SuppressMessage("Design", "CA1000",
        Justification = "A factory on the generic result reads best at the call site.")]
    public static OpResult<T> Ok(T value) => new(value, default);

    /// <summary>A refusal.</summary>
    [SuppressMessage("Design", "CA1000",
        Justification = "A factory on the generic result reads best at the call site.")]
    public static OpResult<T> Refuse(Errno errno, string reason) => new(default, OpResult.Refuse(errno, reason));

    /// <inheritdoc cref="Refuse(Errno, string)"/>
    [SuppressMessage("Design", "CA1000",
        Justification = "A factory on the generic result reads best at the call site.")]
    public static OpResult<T> Refuse(Errno errno, InvariantText reason) => new(default, OpResult.Refuse(errno, reason));

    /// <summary>The refusal of an inner operation, passed on.</summary>
    [SuppressMessage("Design", "CA1000",
        Justification = "A factory on the generic result reads best at the call site.")]
    public static OpResult<T> Refuse(OpResult refusal) => refusal.IsOk
        ? throw new ArgumentException("Success cannot be passed on as a refusal.", nameof(refusal))
        : new OpResult<T>(default, refusal);

    /// <summary>The value or the refusal.</summary>
    public override string ToString() => IsOk ? $"ok: {Value}" : Outcome.ToString();
}
