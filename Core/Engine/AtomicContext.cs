// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Engine;

/// <summary>
/// Marks the driver callbacks during which the core may not be entered (C19): in 2017 doing so locked up the machine,
/// here it is an exception that names the callback and the call.
/// </summary>
internal static class AtomicContext
{
    [ThreadStatic]
    private static string? s_callback;

    public static string? Enter(string callback)
    {
        string? outer = s_callback;
        s_callback = callback;
        return outer;
    }

    public static void Leave(string? outer) => s_callback = outer;

    public static void Forbid(string call)
    {
        if (s_callback is { } callback)
        {
            throw new InvalidOperationException(
                $"{call} was called from inside the driver's {callback}, which must not call back into the core "
                    + $"(C19).");
        }
    }
}
