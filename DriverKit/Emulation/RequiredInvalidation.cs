// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Emulation;

/// <summary>
/// Invalidations that a driver must do in an order because an entry went away, where a forgotten one need not show in a
/// translation. Not safe for concurrent use.
/// </summary>
/// <typeparam name="TGroup">Invalidations that completed together.</typeparam>
/// <param name="cause">Why, in words.</param>
/// <param name="steps">What, in order.</param>
/// <param name="isOld">Whether the next group counts; otherwise the next one is that in which the cause arose, and the
/// steps begin with the one after it.</param>
public sealed class RequiredInvalidation<TGroup>(
    string cause, IEnumerable<RequiredStep<TGroup>> steps, bool isOld = false)
{
    private readonly Queue<RequiredStep<TGroup>> _steps = new(steps);

    /// <summary>Whether the group in which the cause arose has completed.</summary>
    public bool IsOld { get; private set; } = isOld;

    /// <summary>A group of invalidations has completed.</summary>
    /// <returns>Whether nothing is missing any more.</returns>
    public bool Completed(TGroup group)
    {
        if (!IsOld)
        {
            IsOld = true;
            return false;
        }

        bool more = true;
        while (more && _steps.TryPeek(out RequiredStep<TGroup>? step) && step.IsMet(group))
        {
            _steps.Dequeue();
            more = step.SharesGroup;
        }

        return _steps.Count == 0;
    }

    public override string ToString() =>
        $"{cause}, and still owed are: {string.Join(", ", _steps.Select(step => step.Name))}";
}
