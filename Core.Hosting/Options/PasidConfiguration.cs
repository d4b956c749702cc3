// SPDX-License-Identifier: Apache-2.0
using System.ComponentModel;
using System.Reflection;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using PasidFramework.Hosting.Plugins;

namespace PasidFramework.Hosting.Options;

/// <summary>
/// Reads <see cref="PasidOptions"/> from files, environment and command line. What a person typed wrong comes back as
/// one line that names the key, the value, where it stands and what was expected.
/// </summary>
/// <remarks>
/// Sources, weakest first: <c>appsettings.json</c> beside the executable, a further JSON file, environment variables
/// (<c>PASIDCTL_Pasid__First=16</c>), pairs of the command line (<c>Pasid:First=16</c>). Keys do not depend on case. A
/// list (<c>Pasid:Reserved:0</c>) is overlaid element by element, as everywhere in Microsoft.Extensions.Configuration.
/// </remarks>
public static class PasidConfiguration
{
    public const string EnvironmentPrefix = "PASIDCTL_";
    private const string DefaultFile = "appsettings.json";

    private static readonly PropertyInfo[] s_properties =
        [.. typeof(PasidOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance)];

    /// <summary>The keys of section <c>Pasid</c>.</summary>
    public static IReadOnlyList<string> Keys { get; } = [.. s_properties.Select(property => property.Name)];

    /// <param name="sources">Where to read; everything at its default if null.</param>
    /// <returns>The configuration; ENOENT (no such file); EPERM (unreadable file); EINVAL (malformed JSON with file and
    /// line, a pair that is not <c>KEY=VALUE</c>, or a pair of another section).</returns>
    public static OpResult<IConfigurationRoot> Build(PasidConfigurationSources? sources = null)
    {
        sources ??= new PasidConfigurationSources();
        ConfigurationBuilder builder = new();
        string defaults = Path.Combine(sources.BaseDirectory, DefaultFile);
        if (File.Exists(defaults) && AddJson(builder, defaults) is { IsOk: false } defaultsRefused)
        {
            return OpResult<IConfigurationRoot>.Refuse(defaultsRefused);
        }

        if (sources.JsonFile is not null
            && AddJson(builder, Path.GetFullPath(sources.JsonFile)) is { IsOk: false } refused)
        {
            return OpResult<IConfigurationRoot>.Refuse(refused);
        }

        builder.Add(new NamedSource(FromEnvironment(sources), key =>
            $"environment variable {EnvironmentPrefix}{key.Replace(":", "__", StringComparison.Ordinal)}"));
        OpResult<Dictionary<string, string?>> pairs = FromPairs(sources.Pairs);
        if (!pairs.IsOk)
        {
            return OpResult<IConfigurationRoot>.Refuse(pairs.Outcome);
        }

        builder.Add(new NamedSource(pairs.Value, _ => "command line"));
        return OpResult<IConfigurationRoot>.Ok(builder.Build());
    }

    /// <summary>Reads section <c>Pasid</c>; what is not stated keeps its default. Limits are not checked
    /// here.</summary>
    /// <returns>The options; EINVAL for an unknown key, or a value of another type.</returns>
    public static OpResult<PasidOptions> Bind(IConfiguration configuration)
    {
        PasidOptions options = new();
        OpResult bound = BindTo(configuration, options);
        return bound.IsOk ? OpResult<PasidOptions>.Ok(options) : OpResult<PasidOptions>.Refuse(bound);
    }

    internal static OpResult BindTo(IConfiguration configuration, PasidOptions options)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        IConfigurationSection section = configuration.GetSection(PasidOptions.SectionName);
        if (!string.IsNullOrEmpty(section.Value))
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"{PasidOptions.SectionName} = '{section.Value}'{Source(configuration, section.Path)}: a section with "
                    + $"keys is expected; its keys are {string.Join(", ", Keys)}");
        }

        foreach (IConfigurationSection child in section.GetChildren())
        {
            if (CheckKey(configuration, child) is { IsOk: false } refused)
            {
                return refused;
            }
        }

        try
        {
            section.Bind(options, binder => binder.ErrorOnUnknownConfiguration = true);
            return OpResult.Ok;
        }
        catch (InvalidOperationException exception)
        {
            return OpResult.Refuse(Errno.EINVAL, AssemblyHeader.OneLine(exception.Message));
        }
    }

    private static OpResult CheckKey(IConfiguration configuration, IConfigurationSection child)
    {
        PropertyInfo? property = Array.Find(
            s_properties, candidate => candidate.Name.Equals(child.Key, StringComparison.OrdinalIgnoreCase));
        if (property is null)
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"unknown key {child.Path}{Source(configuration, child.Path)}; the keys of {PasidOptions.SectionName} "
                    + $"are "
                    + string.Join(", ", Keys));
        }

        IConfigurationSection[] elements = [.. child.GetChildren()];
        if (typeof(IList<long>).IsAssignableFrom(property.PropertyType))
        {
            if (!string.IsNullOrEmpty(child.Value))
            {
                return WrongType(configuration, child, "a list of whole numbers (one key for each: "
                    + $"{child.Path}:0, {child.Path}:1)");
            }

            return elements
                .Select(element => CheckValue(configuration, element, typeof(long)))
                .FirstOrDefault(outcome => !outcome.IsOk);
        }

        return elements.Length == 0
            ? CheckValue(configuration, child, property.PropertyType)
            : OpResult.Refuse(Errno.EINVAL,
                $"unknown key {elements[0].Path}{Source(configuration, elements[0].Path)}: {child.Path} is "
                    + $"{Describe(property.PropertyType)}, it has no keys of its own");
    }

    private static OpResult CheckValue(IConfiguration configuration, IConfigurationSection section, Type type)
    {
        if (section.GetChildren().Any())
        {
            IConfigurationSection inner = section.GetChildren().First();
            return OpResult.Refuse(Errno.EINVAL,
                $"unknown key {inner.Path}{Source(configuration, inner.Path)}: {section.Path} is {Describe(type)}, it "
                    + "has no keys of its own");
        }

        if (section.Value is null)
        {
            return WrongType(configuration, section, Describe(type));
        }

        if (type == typeof(string))
        {
            return OpResult.Ok;
        }

        // The same conversion as the binder's, which reads 0x10 as well as 16.
        try
        {
            _ = TypeDescriptor.GetConverter(type).ConvertFromInvariantString(section.Value);
            return OpResult.Ok;
        }
        catch (Exception exception) when (
            exception is ArgumentException or FormatException or OverflowException or NotSupportedException)
        {
            return WrongType(configuration, section, Describe(type));
        }
    }

    private static OpResult WrongType(IConfiguration configuration, IConfigurationSection section, string expected) =>
        OpResult.Refuse(Errno.EINVAL,
            $"{section.Path} = {(section.Value is null ? "null" : $"'{AssemblyHeader.OneLine(section.Value)}'")}"
                + $"{Source(configuration, section.Path)}: {expected} is expected");

    private static string Describe(Type type) => type switch
    {
        _ when type == typeof(string) => "a text",
        _ when type == typeof(int) => Range(int.MinValue, int.MaxValue),
        _ when type == typeof(long) => Range(long.MinValue, long.MaxValue),
        _ when type == typeof(ulong) => Range(ulong.MinValue, ulong.MaxValue),
        _ => $"a value of type {type.Name}",
    };

    private static string Range<T>(T least, T most)
        where T : IFormattable => Text($"a whole number ({least} to {most})");

    private static string Source(IConfiguration configuration, string path)
    {
        if (configuration is not IConfigurationRoot root)
        {
            return string.Empty;
        }

        IConfigurationProvider? provider = root.Providers.LastOrDefault(candidate =>
            candidate.TryGet(path, out _) || candidate.GetChildKeys([], path).Any());
        return provider is NamedProvider named ? $" ({named.Where(path)})" : string.Empty;
    }

    private static OpResult AddJson(ConfigurationBuilder builder, string path)
    {
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return OpResult.Refuse(Errno.ENOENT, $"{path}: no such configuration file");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return OpResult.Refuse(Errno.EPERM, $"{path}: cannot be read: {AssemblyHeader.OneLine(exception.Message)}");
        }

        try
        {
            // Parsed here once only for the line number; the provider words its errors for programmers.
            using JsonDocument document = JsonDocument.Parse(
                bytes.AsMemory(Preamble(bytes)),
                new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                return OpResult.Refuse(Errno.EINVAL,
                    $"{path}, line 1: an object in braces is expected, not {Kind(document.RootElement.ValueKind)}");
            }

            IConfigurationRoot parsed = new ConfigurationBuilder().AddJsonStream(new MemoryStream(bytes)).Build();
            Dictionary<string, string?> values = new(StringComparer.OrdinalIgnoreCase);
            foreach (KeyValuePair<string, string?> pair in parsed.AsEnumerable())
            {
                // An inner node of the tree has no value of its own; a null that was typed is one.
                if (parsed.Providers.Any(provider => provider.TryGet(pair.Key, out _)))
                {
                    values[pair.Key] = pair.Value;
                }
            }

            builder.Add(new NamedSource(values, _ => path));
            return OpResult.Ok;
        }
        catch (JsonException exception)
        {
            return OpResult.Refuse(Errno.EINVAL,
                $"{path}, line {exception.LineNumber + 1}: {Expected(exception.Message)}");
        }
        catch (Exception exception) when (exception is FormatException or InvalidDataException)
        {
            // Well-formed, but the same key twice.
            Exception cause = exception.InnerException ?? exception;
            return OpResult.Refuse(Errno.EINVAL, $"{path}: {AssemblyHeader.OneLine(cause.Message)}");
        }
    }

    private static int Preamble(byte[] bytes) => bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble)
        ? Encoding.UTF8.Preamble.Length : 0;

    private static string Kind(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "a truth value",
    };

    // The parser ends its texts with the position, which stands at the head of ours.
    private static string Expected(string message)
    {
        int position = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return AssemblyHeader.OneLine(position < 0 ? message : message[..position]);
    }

    private static Dictionary<string, string?> FromEnvironment(PasidConfigurationSources sources)
    {
        Dictionary<string, string?> values = new(StringComparer.OrdinalIgnoreCase);
        foreach (object? entry in sources.Environment.Keys)
        {
            if (entry is string name && name.StartsWith(EnvironmentPrefix, StringComparison.OrdinalIgnoreCase))
            {
                string key = name[EnvironmentPrefix.Length..].Replace("__", ":", StringComparison.Ordinal);
                values[key] = sources.Environment[name] as string;
            }
        }

        return values;
    }

    private static OpResult<Dictionary<string, string?>> FromPairs(IReadOnlyList<string> pairs)
    {
        Dictionary<string, string?> values = new(StringComparer.OrdinalIgnoreCase);
        foreach (string pair in pairs)
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            string key = equals < 0 ? string.Empty : pair[..equals].Trim();
            if (key.Length == 0)
            {
                return OpResult<Dictionary<string, string?>>.Refuse(Errno.EINVAL,
                    $"'{pair}' (command line): KEY=VALUE is expected, such as {PasidOptions.SectionName}:First=16");
            }

            // A setting typed on the command line is meant to have an effect, and no other section has one.
            if (!key.StartsWith(PasidOptions.SectionName + ":", StringComparison.OrdinalIgnoreCase))
            {
                return OpResult<Dictionary<string, string?>>.Refuse(Errno.EINVAL,
                    $"unknown key {key} (command line); the keys are "
                        + string.Join(", ", Keys.Select(name => $"{PasidOptions.SectionName}:{name}")));
            }

            values[key] = pair[(equals + 1)..];
        }

        return OpResult<Dictionary<string, string?>>.Ok(values);
    }

    private sealed class NamedSource(IDictionary<string, string?> values, Func<string, string> where)
        : IConfigurationSource
    {
        public IConfigurationProvider Build(IConfigurationBuilder builder) => new NamedProvider(values, where);
    }

    private sealed class NamedProvider : ConfigurationProvider
    {
        private readonly Func<string, string> _where;

        public NamedProvider(IDictionary<string, string?> values, Func<string, string> where)
        {
            Data = values;
            _where = where;
        }

        public string Where(string key) => _where(key);
    }
}
