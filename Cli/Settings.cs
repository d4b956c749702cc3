using PasidFramework.Options;

namespace PasidFramework.Cli;

/// <summary>The configured options: file, environment, command line, in this order.</summary>
internal static class Settings
{
    public static PasidOptions Load(string? file, IReadOnlyList<string> settings, IEnumerable<string> allocators)
    {
        return new PasidOptions();
    }
}
